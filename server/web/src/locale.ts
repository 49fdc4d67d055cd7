const OPTIONS: Intl.NumberFormatOptions = { maximumFractionDigits: 1, useGrouping: true };

function format(): Intl.NumberFormat {
  try {
    // The digits are those of the English texts around them, as the server writes them.
    return new Intl.NumberFormat(`${document.documentElement.dataset.locale ?? "en"}-u-nu-latn`, OPTIONS);
  } catch {
    return new Intl.NumberFormat("en", OPTIONS);
  }
}

let marks: Intl.NumberFormat | undefined;

/** A number with at most one digit behind the mark, as in the viewer's language. */
export function written(value: number): string {
  marks ??= format();
  return marks.format(value);
}
