# Fjell & Fjord, outdoor shop: support in English.
@ order: 80210..96990
@ guest: Ben || Chloe || Arjun || Fatima || Jack || Megan || Noah || Zoe
@ product: Storm jacket || Sleeping bag Polar || Tent Aurora 2 || Backpack Fjord 45 || Down vest Sula
@ wear: Storm jacket || Down vest Sula || Rain trousers Otra || Fleece Tind
@ city: Manchester || Dublin || Leeds || Toronto || Utrecht || Malmö
@ hub: Hamburg || Rotterdam || Gothenburg
@ other: M || L || XL
@ euro: 39..189

== where_is_my_order | Where is order {order}?
u: Where is my order {order}? || hi, ordered a week ago and nothing arrived. Order no {order} || Can you tell me when order #{order} will be here? || It says shipped but the tracking hasn't moved in days. {order}
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "shipped", "carrier": "DHL", "tracking": "00340{order}12", "items": ["{product}"]} ~210
t: track_parcel {"tracking": "00340{order}12"} => {"status": "in transit", "last_scan": "{hub}", "expected": "{isodate}"} ~740
a: Your **{product}** left our warehouse and was last scanned in **{hub}**. DHL expects to deliver it on **{day}, {date}**. || Found it: order **{order}** is on its way with DHL (last scan: {hub}) and should arrive on **{day}**.\n\n[Track the parcel](https://tracking.example.com/00340{order}12)
?45
u: I won't be home on {day}, can it go to a pickup point? || can you send it to a locker instead
t: redirect_parcel {"tracking": "00340{order}12", "to": "pickup point"} => {"accepted": true, "pickup_point": "Central Station locker 14"} ~820
a: Yes, it now goes to the **locker at Central Station** (number 14). You'll get the code by e-mail and have 7 days to collect it.
?.

== return | Return of {wear}
u: How do I return something? || I'd like to send back the {wear} from order {order} || the {wear} doesn't fit, can I return it?
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "delivered", "returnable_until": "{isodate}"} ~190
a: Of course. You can return it until **{date}**, free of charge. What would you like?
b: return_choice | Money back=refund*5 | Another size=exchange*4 | Gift card=voucher
(refund) t: create_return {"order": "{order}", "kind": "refund"} => {"return_id": "R-{order}", "label_url": "https://returns.example.com/R-{order}.pdf"} ~480
(refund) f: agent document return-label-{order}.pdf | Here is your return label. The money is back within 5 days of the parcel reaching us.
(exchange) u: One size up please, {other}
(exchange) t: check_stock {"product": "{wear}", "size": "{other}"} => {"in_stock": true, "quantity": 14} ~130
(exchange) t: create_return {"order": "{order}", "kind": "exchange", "size": "{other}"} => {"return_id": "R-{order}"} ~480
(exchange) a: Size **{other}** is in stock and set aside for you. We send it as soon as your return is scanned at the post office.
(voucher) t: create_return {"order": "{order}", "kind": "gift card"} => {"return_id": "R-{order}", "bonus_eur": 10} ~480
(voucher) a: Done. Your gift card comes with **€10 extra** as a thank-you.

== size_advice | Which size?
u: Which size should I take in the {wear}? I'm 178 cm and 74 kg || does the {wear} run small? || I'm between M and L in the {wear}, what would you take?
t: get_size_chart {"product": "{wear}"} => {"fit": "slightly narrow", "returns_too_small": 0.18, "returns_too_large": 0.05} ~120
a: The **{wear}** fits a little narrow. With another layer underneath I'd take **L**.\n\n| Size | Chest (cm) | Waist (cm) |\n|---|---|---|\n| S | 88–94 | 76–82 |\n| M | 94–100 | 82–88 |\n| L | 100–108 | 88–96 |\n| XL | 108–116 | 96–104 | || 18 % of those who return the {wear} say it was too small, so I'd go one size up: **L**.
?50
u: And how do I wash it? || is it fully waterproof?
a=: Wash it at 30 °C with a detergent for membranes, never with softener, then 20 minutes in the dryer on low. || It has a 20,000 mm membrane and taped seams: a whole day of rain is fine.
?.

== damaged | Damaged on arrival
u: My {product} arrived damaged || The zip of my {product} broke after two days || package was ripped open and the {product} has a hole
a: I'm sorry, that's not what you paid for. Could you send me a photo? || Oh no. Please send a photo, then I can sort it out right away.
f: user image damage.png | Here || see photo
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "delivered", "price_eur": {euro}} ~190
a: Thank you, I can see it clearly. Would you like a new one or your money back?
b: damage_choice | Send a new one=replace*5 | Money back=refund*3
(replace) t: create_order {"order": "{order}", "kind": "replacement", "product": "{product}"} => {"order": "{order}-R", "ships": "{isodate}"} ~560
(replace) a: A new **{product}** ships on {day}. You can keep or recycle the damaged one.
(refund) t: refund {"order": "{order}", "amount_eur": {euro}} => {"refunded": true, "amount_eur": {euro}} ~900
(refund) a: I've refunded **€{euro}**. It usually takes 3 to 5 days to show on your account.

== invoice | Invoice for {order}
u: I need an invoice for order {order} || Can you send the invoice with our company address? Order {order} || invoice pls {order}
t: get_invoice {"order": "{order}"} => {"invoice": "RE-{order}", "total_eur": {euro}} ~260
f: agent document invoice-{order}.pdf | Here is your invoice RE-{order} over €{euro}. || There you go.

== compare | Tent Aurora 2 or 3?
u: What's the difference between the Aurora 2 and the Aurora 3? || Which tent for two people and a dog? || Is the Aurora 2 good enough for Iceland in September?
t: search_products {"query": "tent aurora"} => {"count": 2, "results": ["Tent Aurora 2", "Tent Aurora 3"]} ~170
a: Here they are side by side:\n\n| | Aurora 2 | Aurora 3 |\n|---|---|---|\n| Weight | 2.1 kg | 2.7 kg |\n| Water column | 4,000 mm | 4,000 mm |\n| Porches | 1 | 2 |\n| Price | €349 | €429 |\n\nFor two people with luggage (or a dog) I'd take the **Aurora 3**. || Both take strong wind and rain. The **Aurora 3** is 600 g heavier and has a second porch; for two people and gear it is the happier choice.
u: Do you have it in green? || And in stock right now? || How long does delivery to {city} take?
t: check_stock {"product": "Tent Aurora 3", "colour": "green"} => {"in_stock": true, "quantity": 6} ~130
a: Yes, 6 left, green ones too. Order before 14:00 and it ships today; to {city} it takes 2 to 3 working days.

== discount | Discount code
u: My discount code doesn't work || The code SUMMER15 is refused, why? || SUMMER15 says invalid at checkout
t: check_voucher {"code": "SUMMER15"} => {"valid": false, "reason": "expired", "replacement": "HELLO10"} ~110
a: `SUMMER15` ended last week, sorry. With `HELLO10` you get **10 % off** your next order over €50.

== _hello
a: Hi! I'm Lynx, the helper of Fjell & Fjord. Ask me about orders, sizes or gear. || Hi there! Looking for gear or for a parcel?
== _also
u: Oh and one more thing || another question || Also,
== _thanks
u: Thanks! || thank you so much || cool, thx || Brilliant, thanks
a: Happy to help. See you outside! || You're welcome! || Any time. Enjoy the trail.
== _helpful
a: Was this helpful?
b: after_chat | Yes=yes*5 | Not really=no
== _retry
a: Our order system is slow to answer, I'll try again. || Hm, no answer yet. Once more.
== _failed
a: I'm sorry, I can't reach our order system right now. I've opened a ticket, a colleague will e-mail you today. || Something is broken on our side, not yours. My colleagues will get back to you by e-mail.
== _handover
u: I want to speak to a person || Is there someone I can call? || agent please || this is the third time I'm asking, give me a human
a: Of course, I'm handing you over. A colleague answers within 10 minutes (Mon–Fri 8–18). || I understand. I've passed everything on to my colleagues.
== _joined
s: Maja from customer care has joined. || A colleague has taken over the conversation.
== _good
- Sorted in two minutes, wow
- Better than most shops
- (return) Easy return, thank you
- (size_advice) Great size advice
- Fast!
== _neutral
- It's ok
- Got the answer but took a while
== _bad
- (where_is_my_order) Still don't know where my parcel is
- (invoice) Bot kept asking for the order number
- Useless, had to write an e-mail
- Asked for a human three times
