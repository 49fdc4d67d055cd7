# Hotel Adria en français.
@ room: 204 || 307 || 402 || 418
@ fee: 25 || 30
@ nights: 2..5
@ adults: 2..4
@ hour: 13h00 || 14h00
@ dinner: 19h30 || 20h00

== late_checkout | Départ tardif
u: Bonjour, pourrions-nous garder la chambre un peu plus longtemps {day} ? || Est-ce possible de partir à {hour} {day} ? Chambre {room} || Bonjour, notre vol est le soir, un départ tardif est possible ?
t: check_availability {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"available": true, "fee_eur": {fee}} ~180
a: Oui, la chambre {room} est libre jusqu'à **{hour}** pour **{fee} €**. Je confirme ? || Avec plaisir : jusqu'à **{hour}**, supplément **{fee} €**, piscine comprise. Je réserve ?
b: late_checkout | Oui, merci=yes*5 | Non, merci=no*2
(yes) t: book_late_checkout {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"confirmed": true} ~320
(yes) a: C'est fait. Le montant est sur la note de votre chambre.
(no) a: Pas de souci. Le départ est à 11h00 et nous gardons vos bagages.

== parking | Parking
u: Avez-vous un parking ? || Combien coûte le parking ? || On arrive en voiture, où peut-on se garer ?
a: Oui, notre garage est à 200 m : **18 € par jour**, **95 € la semaine**. Je vous réserve une place ?
u: Oui, {nights} nuits à partir du {date}
t: reserve_parking {"from": "{isodate}", "nights": {nights}} => {"reserved": true, "space": "B{room}", "total_eur": {nights*18}} ~260
a: La place **B{room}** est à vous, **{nights*18} €** au total. La barrière s'ouvre avec la carte de la chambre.

== restaurant | Restaurant ce soir
u: Un bon restaurant de poisson près de l'hôtel ? || Où dîner ce soir, pas trop touristique ? || Vous pouvez nous réserver une table pour {adults} ?
t: search_places {"query": "restaurant de poisson", "max_walk_minutes": 12} => {"results": ["Konoba Fetivi", "Villa Spiza"], "count": 2} ~230
a: La **Konoba Fetivi** : poisson grillé, simple et bon, à 6 minutes à pied. À quelle heure souhaitez-vous dîner ?
u: {dinner}, nous sommes {adults} || Vers {dinner}
t: book_table {"restaurant": "Konoba Fetivi", "people": {adults}, "time": "{dinner}"} => {"confirmed": true, "reference": "{code}"} ~680
a: C'est réservé pour **{dinner}**. Bon appétit !

== _hello
a: Bienvenue à l'hôtel Adria ! Je suis Marina, que puis-je faire pour vous ?
== _also
u: Autre chose || Une dernière question
== _thanks
u: Merci beaucoup ! || Parfait, merci
a: Je vous en prie, bon séjour ! || Avec plaisir, bonne journée !
== _helpful
a: Ai-je pu vous aider ?
b: after_chat | Oui=yes*6 | Non=no
== _retry
a: Le système est lent, je réessaie.
== _failed
a: Désolée, notre système ne répond pas. La réception vous écrira dans l'heure.
== _handover
u: Je voudrais parler à quelqu'un || Passez-moi la réception s'il vous plaît
a: Bien sûr, je vous passe la réception.
== _good
- Rapide et très aimable
- Parfait
== _neutral
- Correct
== _bad
- Elle n'a pas compris ma question
