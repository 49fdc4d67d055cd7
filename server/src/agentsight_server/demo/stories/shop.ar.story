# Fjell & Fjord بالعربية
@ order: 80210..96990
@ product: سترة Storm || حذاء Lynx || حقيبة Fjord 45
@ wear: سترة Storm || سترة Tind
@ hub: دبي || القاهرة || الدار البيضاء
@ other: M || L || XL

== where_is_my_order | أين الطلب {order}؟
u: أين طلبي رقم {order}؟ || السلام عليكم، لم يصل الطلب {order} حتى الآن || متى يصل الطلب {order}؟
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "shipped", "carrier": "Aramex", "tracking": "00340{order}12"} ~210
t: track_parcel {"tracking": "00340{order}12"} => {"status": "in transit", "last_scan": "{hub}", "expected": "{isodate}"} ~740
a: طلبك في الطريق، وآخر محطة له كانت **{hub}**. من المتوقع أن يصل **{day} {date}**.

== size_advice | أي مقاس؟
u: ما المقاس المناسب لي في {wear}؟ طولي 175 سم || هل المقاسات صغيرة؟
t: get_size_chart {"product": "{wear}"} => {"fit": "slightly narrow"} ~120
a: القصة ضيقة قليلاً، أنصحك بمقاس **{other}**.

== _hello
a: مرحباً! أنا لينكس من متجر Fjell & Fjord. كيف يمكنني مساعدتك؟
== _also
u: سؤال آخر
== _thanks
u: شكراً جزيلاً! || شكراً لك
a: على الرحب والسعة!
== _helpful
a: هل كان ذلك مفيداً؟
b: after_chat | نعم=yes*5 | لا=no
== _retry
a: النظام بطيء الآن، سأحاول مرة أخرى.
== _failed
a: نعتذر، النظام لا يستجيب حالياً. سيتواصل معك أحد زملائنا اليوم.
== _handover
u: أريد التحدث مع موظف
a: بالتأكيد، سأحولك إلى أحد الزملاء.
== _good
- خدمة سريعة وممتازة
== _neutral
- لا بأس
== _bad
- لم أحصل على جواب
