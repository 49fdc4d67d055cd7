# Fjell & Fjord en français.
@ order: 80210..96990
@ product: Veste Storm || Chaussures Lynx || Tente Aurora 2 || Sac Fjord 45
@ wear: Veste Storm || Gilet Sula || Polaire Tind
@ hub: Lille || Paris || Bruxelles
@ other: M || L || XL
@ euro: 39..189

== where_is_my_order | Où est la commande {order} ?
u: Où est ma commande {order} ? || Bonjour, j'attends la commande {order} depuis une semaine || Quand est-ce que {order} arrive ?
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "shipped", "carrier": "DHL", "tracking": "00340{order}12"} ~210
t: track_parcel {"tracking": "00340{order}12"} => {"status": "in transit", "last_scan": "{hub}", "expected": "{isodate}"} ~740
a: Votre colis a été vu pour la dernière fois à **{hub}**. Livraison prévue **{day} {date}**. || Elle est en route (dernier passage : {hub}) et devrait arriver **{day}**.

== return | Retour {wear}
u: Comment faire un retour ? || La taille ne va pas, je voudrais échanger {wear} || Je souhaite renvoyer un article de la commande {order}
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "delivered", "returnable_until": "{isodate}"} ~190
a: Bien sûr, le retour est gratuit jusqu'au **{date}**. Que préférez-vous ?
b: return_choice | Remboursement=refund*5 | Autre taille=exchange*4
(refund) t: create_return {"order": "{order}", "kind": "refund"} => {"return_id": "R-{order}"} ~480
(refund) f: agent document etiquette-{order}.pdf | Voici votre étiquette de retour.
(exchange) u: La taille au-dessus, {other}
(exchange) t: check_stock {"product": "{wear}", "size": "{other}"} => {"in_stock": true, "quantity": 5} ~130
(exchange) a: La taille **{other}** est en stock, je vous la réserve.

== size_advice | Quelle taille ?
u: Quelle taille pour {wear} ? Je fais 1m75 || Est-ce que ça taille petit ?
t: get_size_chart {"product": "{wear}"} => {"fit": "slightly narrow", "returns_too_small": 0.18} ~120
a: La coupe est plutôt étroite : je prendrais **{other}** si vous portez une polaire dessous.

== invoice | Facture {order}
u: J'ai besoin de la facture de la commande {order} || Facture {order} svp
t: get_invoice {"order": "{order}"} => {"invoice": "RE-{order}", "total_eur": {euro}} ~260
f: agent document facture-{order}.pdf | Voici votre facture de {euro} €.

== _hello
a: Bonjour ! Je suis Lynx, de Fjell & Fjord. Une question sur une commande ou une taille ?
== _also
u: Et aussi || Une autre question
== _thanks
u: Merci ! || Super, merci beaucoup
a: Avec plaisir, bonne randonnée !
== _helpful
a: Est-ce que cela vous a aidé ?
b: after_chat | Oui=yes*5 | Pas vraiment=no
== _retry
a: Notre système est lent, je réessaie.
== _failed
a: Désolé, notre système de commandes ne répond pas. Un collègue vous écrira aujourd'hui.
== _handover
u: Je veux parler à quelqu'un || Un humain s'il vous plaît
a: Bien sûr, je transmets à mes collègues.
== _good
- Rapide et efficace
- (size_advice) Très bon conseil
== _neutral
- Moyen
== _bad
- (where_is_my_order) Toujours pas de nouvelles de mon colis
- Pas très utile
