# Clínica Mirador, la ligne vocale en français. Parlé : sans Markdown.
@ patient: Claire Dubois || Julien Petit || Nadia Benali
@ doctor: la docteure Vidal || le docteur Romero
@ spec: dermatologie || médecine générale
@ dob: 1969-05-18 || 1988-12-02
@ ticket: 1200..1990

== book | Rendez-vous, {spec}
u: Bonjour, je voudrais un rendez-vous en {spec} || Bonjour, je peux voir {doctor} cette semaine ?
a: Bien sûr. Votre nom et votre date de naissance ?
u: {patient}, {dob}
t: free_appointments {"specialty": "{spec}", "from": "{isodate}"} => {"slots": ["{isodate} {time}"]} ~610
a: Le premier créneau est {day} {date} à {time}. Cela vous convient ?
u: Oui, très bien
t: book_appointment {"patient": "{patient}", "date": "{isodate}", "time": "{time}"} => {"confirmed": true, "reference": "{code}"} ~530
a: C'est réservé. Vous recevrez un message de confirmation.

== prices | Tarifs
u: Combien coûte une consultation ? || Est-ce que vous parlez français à la clinique ?
a=: La première consultation coûte quatre-vingts euros. || Oui, deux de nos médecins parlent français.

== _hello
a: Clínica Mirador, bonjour. Je suis l'assistant des rendez-vous.
== _also
u: Encore une chose
== _thanks
u: Merci, au revoir
a: Merci de votre appel. Bonne journée.
== _helpful
a: Si je vous ai aidé, dites oui.
b: after_chat | Oui=yes*4 | Non=no
== _retry
a: Un instant, l'agenda ne répond pas. Je réessaie.
== _failed
a: Désolé, je ne vois pas l'agenda en ce moment. Une collègue vous rappellera cet après-midi.
== _handover
u: Je voudrais parler à quelqu'un
a: Je vous passe l'accueil, ne quittez pas.
== _good
- Très pratique
== _neutral
- Correct
== _bad
- (book) Il ne comprenait pas mon nom
- Je préfère parler à quelqu'un
