# Fjell & Fjord auf Deutsch.
@ order: 80210..96990
@ product: Sturmjacke || Schlafsack Polar || Zelt Aurora 2 || Rucksack Fjord 45 || Daunenweste Sula
@ wear: Sturmjacke || Daunenweste Sula || Regenhose Otra || Fleecejacke Tind
@ hub: Hamburg || Leipzig || Nürnberg
@ other: M || L || XL
@ euro: 39..189

== where_is_my_order | Wo ist Bestellung {order}?
u: Wo bleibt meine Bestellung {order}? || Hallo, ich warte seit einer Woche auf {order} || Können Sie mir sagen, wann {order} ankommt? || Die Sendungsverfolgung bewegt sich seit Tagen nicht, Bestellnummer {order}
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "shipped", "carrier": "DHL", "tracking": "00340{order}12", "items": ["{product}"]} ~210
t: track_parcel {"tracking": "00340{order}12"} => {"status": "in transit", "last_scan": "{hub}", "expected": "{isodate}"} ~740
a: Ihre Bestellung ist unterwegs und wurde zuletzt in **{hub}** gescannt. DHL stellt voraussichtlich am **{day}, {date}** zu. || Gefunden! Das Paket ({product}) kommt am **{day}** an.\n\n[Sendung verfolgen](https://tracking.example.com/00340{order}12)
?45
u: Am {day} bin ich nicht da, geht auch eine Packstation?
t: redirect_parcel {"tracking": "00340{order}12", "to": "Packstation"} => {"accepted": true, "pickup_point": "Packstation 114"} ~820
a: Ja, das Paket geht jetzt an die **Packstation 114**. Den Code bekommen Sie per E-Mail.
?.

== return | Rücksendung {wear}
u: Wie kann ich etwas zurückschicken? || Die {wear} passt leider nicht, kann ich umtauschen? || Ich möchte die {wear} aus Bestellung {order} zurückgeben
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "delivered", "returnable_until": "{isodate}"} ~190
a: Natürlich. Bis zum **{date}** können Sie kostenlos zurücksenden. Was möchten Sie?
b: return_choice | Geld zurück=refund*5 | Andere Größe=exchange*4 | Gutschein=voucher
(refund) t: create_return {"order": "{order}", "kind": "refund"} => {"return_id": "R-{order}"} ~480
(refund) f: agent document ruecksendung-{order}.pdf | Hier ist Ihr Etikett. Das Geld ist spätestens fünf Tage nach Eingang zurück.
(exchange) u: Eine Nummer größer bitte, {other}
(exchange) t: check_stock {"product": "{wear}", "size": "{other}"} => {"in_stock": true, "quantity": 9} ~130
(exchange) a: Größe **{other}** ist da und für Sie zurückgelegt.
(voucher) a: Sehr gern. Der Gutschein kommt mit **10 € extra** als Dankeschön.

== size_advice | Welche Größe?
u: Welche Größe brauche ich bei der {wear}? 182 cm, 80 kg || Fällt die {wear} klein aus? || Ich schwanke bei der {wear} zwischen M und L
t: get_size_chart {"product": "{wear}"} => {"fit": "slightly narrow", "returns_too_small": 0.18} ~120
a: Der Schnitt ist eher schmal. Mit Fleece darunter würde ich **L** nehmen.\n\n| Größe | Brust (cm) | Taille (cm) |\n|---|---|---|\n| M | 94–100 | 82–88 |\n| L | 100–108 | 88–96 |\n| XL | 108–116 | 96–104 |
?50
u: Und wie wasche ich sie? || Ist die wirklich wasserdicht?
a=: Bei 30 °C mit Membranwaschmittel, ohne Weichspüler, danach 20 Minuten warm in den Trockner. || Ja: 20.000 mm Wassersäule, alle Nähte verklebt.
?.

== damaged | Beschädigt angekommen
u: {product} kam beschädigt an || Der Reißverschluss ist nach zwei Tagen kaputt || Das Paket war offen und {product} hat ein Loch
a: Das tut mir leid! Können Sie mir ein Foto schicken?
f: user image schaden.png | Bitte sehr || hier das Foto
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "delivered", "price_eur": {euro}} ~190
a: Danke, das sieht man gut. Neu schicken oder Geld zurück?
b: damage_choice | Neu schicken=replace*5 | Geld zurück=refund*3
(replace) t: create_order {"order": "{order}", "kind": "replacement"} => {"order": "{order}-R", "ships": "{isodate}"} ~560
(replace) a: Der Ersatz geht am {day} raus. Das beschädigte Teil dürfen Sie behalten.
(refund) t: refund {"order": "{order}", "amount_eur": {euro}} => {"refunded": true, "amount_eur": {euro}} ~900
(refund) a: **{euro} €** sind erstattet und in 3 bis 5 Tagen auf Ihrem Konto.

== invoice | Rechnung {order}
u: Ich brauche die Rechnung zu {order} || Können Sie mir die Rechnung auf die Firma ausstellen? Bestellung {order} || Rechnung bitte, {order}
t: get_invoice {"order": "{order}"} => {"invoice": "RE-{order}", "total_eur": {euro}} ~260
f: agent document rechnung-{order}.pdf | Hier ist Ihre Rechnung RE-{order} über {euro} €.

== compare | Zelt für zwei
u: Welches Zelt für zwei Personen und einen Hund? || Was ist der Unterschied zwischen Aurora 2 und Aurora 3? || Reicht das Aurora 2 für Island im September?
t: search_products {"query": "Zelt Aurora"} => {"count": 2, "results": ["Zelt Aurora 2", "Zelt Aurora 3"]} ~170
a: Im Vergleich:\n\n| | Aurora 2 | Aurora 3 |\n|---|---|---|\n| Gewicht | 2,1 kg | 2,7 kg |\n| Apsiden | 1 | 2 |\n| Preis | 349 € | 429 € |\n\nMit Gepäck oder Hund würde ich das **Aurora 3** nehmen.
u: Ist es auf Lager? || Gibt es das auch in Grün?
t: check_stock {"product": "Zelt Aurora 3"} => {"in_stock": true, "quantity": 6} ~130
a: Ja, noch 6 Stück. Bis 14 Uhr bestellt, geht es heute noch raus.

== _hello
a: Hallo! Ich bin Lynx von Fjell & Fjord. Fragen zu Bestellung, Größe oder Ausrüstung?
== _also
u: Noch etwas || Ach ja, und
== _thanks
u: Danke! || Super, vielen Dank || Klasse, danke
a: Gern! Viel Spaß draußen. || Jederzeit wieder.
== _helpful
a: War das hilfreich?
b: after_chat | Ja=yes*5 | Eher nicht=no
== _retry
a: Unser Bestellsystem antwortet langsam, ich versuche es noch einmal.
== _failed
a: Leider erreiche ich unser Bestellsystem gerade nicht. Ich habe ein Ticket eröffnet, Sie bekommen heute noch eine E-Mail.
== _handover
u: Ich möchte mit einem Mitarbeiter sprechen || Kann ich jemanden anrufen? || Mensch bitte!
a: Natürlich, ich übergebe an meine Kollegen (Mo–Fr 8–18 Uhr). || Verstanden, eine Kollegin meldet sich in etwa 10 Minuten.
== _joined
s: Maja vom Kundenservice ist beigetreten.
== _good
- Schnell und unkompliziert
- (size_advice) Top Beratung
- (compare) Top Beratung
- In zwei Minuten erledigt
== _neutral
- Geht so
- Ok, aber langsam
== _bad
- (where_is_my_order) Weiß immer noch nicht, wo mein Paket ist
- (invoice) Dreimal nach der Bestellnummer gefragt
- Hilft nicht weiter
