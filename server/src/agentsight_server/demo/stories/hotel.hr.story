# Hotel Adria na hrvatskom.
@ room: 204 || 211 || 307 || 315 || 402
@ fee: 25 || 30
@ nights: 1..4
@ adults: 2..5
@ hour: 13:00 || 14:00
@ dinner: 19:30 || 20:00 || 20:30
@ ticket: 4100..4990

== late_checkout | Kasnija odjava
u: Dobar dan, možemo li se u {day} odjaviti malo kasnije? || Je li moguć late check-out za sobu {room}? || Trebali bismo sobu do {hour} u {day}, može?
t: check_availability {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"available": true, "fee_eur": {fee}} ~180
a: Može! Soba {room} slobodna je do **{hour}**, nadoplata je **{fee} €**. Želite li da rezerviram? || Naravno, do **{hour}** za **{fee} €**. Da potvrdim?
b: late_checkout | Da, molim=yes*5 | Ne, hvala=no*2
(yes) t: book_late_checkout {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"confirmed": true, "charged_to_room": {fee}} ~320
(yes) a: Potvrđeno, iznos je dodan na račun sobe.
(no) a: U redu. Odjava je u 11:00, a prtljagu rado čuvamo.

== weekend | Vikend-ponuda
u: Imate li slobodnu sobu za ovaj vikend? || Koliko košta dvokrevetna od {date}, {nights} noći? || pozdrav, ima li mjesta za {adults} osobe od {date}
t: check_availability {"arrival": "{isodate}", "nights": {nights}, "people": {adults}} => {"available": true, "price_eur": {nights*128}} ~260
a: Imamo slobodno od {date}, {nights} noći:\n\n- dvokrevetna s pogledom na more: **{nights*128} €**\n- doručak uključen\n- besplatno otkazivanje do 48 sati prije\n\nŽelite li rezervirati?
?60
u: Može, na ime Kovačević || Da, molim vas
t: create_booking {"arrival": "{isodate}", "nights": {nights}, "people": {adults}} => {"reference": "{code}", "status": "confirmed"} ~620
f: agent document potvrda-{code}.pdf | Rezervacija je potvrđena, šaljem i potvrdu.
?.

== parking | Parkiranje
u: Gdje mogu parkirati? || Imate li garažu i koliko košta? || Ima li punjač za električni auto?
a=: Naša je garaža na 200 metara, **18 € po danu**. Želite li rezervirati mjesto? || Da, **18 € po danu** ili **95 € tjedno**. Mogu vam odmah rezervirati mjesto. || Ima, 22 kW u garaži, **0,35 € po kWh**. Mjesto je 18 € po danu, da rezerviram?
u: Da, od {date}, {nights} noći
t: reserve_parking {"from": "{isodate}", "nights": {nights}} => {"reserved": true, "space": "B{room}", "total_eur": {nights*18}} ~260
a: Rezervirano je mjesto **B{room}**, ukupno **{nights*18} €**. Rampa se otvara karticom sobe.

== room_problem | Kvar u sobi {room}
u: U sobi {room} ne radi klima || Curi slavina u kupaonici, soba {room} || Internet u sobi {room} jako spor
a: Ispričavam se! Odmah šaljem majstora. || Oprostite zbog neugodnosti, javljam tehničkoj službi.
t: create_maintenance_ticket {"room": {room}, "problem": "kvar", "priority": "high"} => {"ticket": {ticket}, "technician": "Josip", "eta_minutes": 15} ~350
a: Josip dolazi za 15 minuta (prijava {ticket}).

== restaurant | Večera
u: Preporuka za večeru u blizini? || Gdje se dobro jede riba? || Trebam stol za {adults} večeras
t: search_places {"query": "konoba", "max_walk_minutes": 12} => {"results": ["Konoba Fetivi", "Villa Spiza", "Bokeria"], "count": 3} ~230
a: Naši preporučuju **Konobu Fetivi** u Velom Varošu. Mogu rezervirati stol, za koliko osoba i u koliko sati?
u: {adults} osobe u {dinner} || za {adults}, oko {dinner}
t: book_table {"restaurant": "Konoba Fetivi", "people": {adults}, "time": "{dinner}"} => {"confirmed": true, "reference": "{code}"} ~680
a: Stol je rezerviran za **{dinner}**. Dobar tek!

== _hello
a: Dobar dan! Ja sam Marina iz hotela Adria. Kako vam mogu pomoći?
== _also
u: Još nešto || I još jedno pitanje
== _thanks
u: Hvala! || Super, hvala puno || Odlično, hvala
a: Nema na čemu. Ugodan boravak! || Hvala vama, vidimo se!
== _helpful
a: Jesam li vam pomogla?
b: after_chat | Da=yes*6 | Ne=no
== _retry
a: Sustav trenutačno sporo odgovara, pokušavam ponovno.
== _failed
a: Nažalost, sustav za rezervacije trenutačno ne radi. Recepcija će vam se javiti u idućih sat vremena.
== _handover
u: Mogu li razgovarati s nekim s recepcije? || Dajte mi živog čovjeka, molim vas
a: Naravno, spajam vas s recepcijom.
== _joined
s: Ivana s recepcije pridružila se razgovoru.
== _good
- Brzo i ljubazno
- Odlično!
- Sve pohvale
== _neutral
- Ok
== _bad
- Nije me razumjela
- Presporo
