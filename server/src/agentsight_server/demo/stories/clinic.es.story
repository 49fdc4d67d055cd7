# Clínica Mirador: la línea de voz para citas, en español. Se habla, no se escribe: sin Markdown.
@ patient: Carmen Ruiz || Javier Molina || Lucía Navarro || Andrés Peña || Marta Gil || Pablo Serrano
@ doctor: la doctora Vidal || el doctor Romero || la doctora Sanz
@ spec: dermatología || traumatología || medicina general || oftalmología
@ dob: 1961-04-12 || 1978-11-03 || 1985-07-22 || 1992-02-15 || 2001-09-30
@ insurer: Sanitas || Adeslas || DKV || Mapfre
@ ticket: 1200..1990

== book | Cita de {spec}
u: Buenas, quería pedir cita para {spec} || Hola, necesito una cita con {doctor} || Sí, eh, quería hora para {spec}, cuanto antes
a: Claro. ¿Me dice su nombre completo y su fecha de nacimiento, por favor?
u: {patient}, {dob} || Soy {patient}
t: find_patient {"name": "{patient}", "birth_date": "{dob}"} => {"patient_id": "P-{ticket}", "insurer": "{insurer}"} ~240
t: free_appointments {"specialty": "{spec}", "from": "{isodate}"} => {"slots": ["{isodate} {time}", "{isodate} 17:10"]} ~610
a: Gracias. La primera hora libre en {spec} es el {day} {date} a las {time}, con {doctor}. ¿Le va bien? || Tengo el {day} {date} a las {time} con {doctor}. ¿Se la reservo?
u: Sí, perfecto || Vale, esa me va bien || Sí, de acuerdo
t: book_appointment {"patient_id": "P-{ticket}", "date": "{isodate}", "time": "{time}"} => {"confirmed": true, "reference": "{code}"} ~530
a: Queda reservada. Recibirá un mensaje con los datos. Venga diez minutos antes con su tarjeta de {insurer}.

== reschedule | Cambio de cita
u: Hola, tengo una cita y no puedo ir || Quería cambiar mi cita del {day} || Llamo para cancelar una cita
a: Sin problema. ¿A nombre de quién está la cita?
u: De {patient} || A nombre de {patient}
t: find_appointment {"name": "{patient}"} => {"reference": "{code}", "date": "{isodate}", "time": "{time}"} ~280
a: La veo: el {day} {date} a las {time}. ¿La cambio o la cancelo?
b: voice_menu | Cambiar=change*4 | Cancelar=cancel*2
(change) t: free_appointments {"from": "{isodate}"} => {"slots": ["{isodate} 12:40"]} ~610
(change) a: Puedo ofrecerle la semana siguiente, el mismo día a las doce y cuarenta.
(change) u: Sí, esa || Vale, gracias
(change) a: Cambiada. Le llega un mensaje de confirmación.
(cancel) t: cancel_appointment {"reference": "{code}"} => {"cancelled": true} ~350
(cancel) a: Cancelada. Gracias por avisar.

== results | Resultados de análisis
u: ¿Están ya mis análisis? || Llamo por los resultados de una analítica
a: Para eso necesito comprobar su identidad. ¿Su nombre y fecha de nacimiento?
f: user audio mensaje-de-voz.wav | {patient}, {dob} || Sí: {patient}
t: lab_results {"name": "{patient}", "birth_date": "{dob}"} => {"ready": true, "portal": true} ~390
a: Sus resultados están en el portal desde ayer. Por teléfono no puedo leérselos, pero {doctor} le llamará si hay algo que comentar.

== prices | Precios y seguros
u: ¿Trabajan con {insurer}? || ¿Cuánto cuesta una visita sin seguro? || ¿Qué seguros aceptan?
a=: Sí, con {insurer} solo tiene que traer la tarjeta. || La primera visita cuesta ochenta euros y la revisión cincuenta. || Trabajamos con Sanitas, Adeslas, DKV y Mapfre.

== urgent | Urgencia
u: Mi hijo tiene mucha fiebre, cuarenta grados, ¿qué hago? || Me duele mucho el pecho || Me he cortado y no para de sangrar
a: Si es una emergencia, cuelgue y llame al 112. Le paso ahora mismo con una enfermera.
t: contact_human {"queue": "nurse", "priority": "urgent"} => {"transferred": true, "waiting_seconds": 12} ~900
a: La enfermera ya está en línea.

== _hello
a: Clínica Mirador, buenos días. Soy el asistente de citas, ¿en qué puedo ayudarle?
== _also
u: Y otra cosa || Ah, y también
== _thanks
u: Muchas gracias || Gracias, adiós || Perfecto, hasta luego
a: A usted. Que tenga un buen día. || Gracias por llamar. Hasta pronto.
== _helpful
a: Si le he ayudado, diga sí.
b: after_chat | Sí=yes*4 | No=no
== _retry
a: Un segundo, la agenda no me responde. Lo intento de nuevo.
== _failed
a: Lo siento, ahora mismo no puedo ver la agenda. Una compañera le llamará esta tarde.
== _handover
u: Quiero hablar con una persona || ¿Me puede pasar con recepción? || No le entiendo, páseme con alguien
a: Le paso con recepción, no cuelgue.
== _joined
s: Llamada transferida a recepción.
== _good
- Muy rápido, sin esperas
- Entiende muy bien
== _neutral
- Bien
== _bad
- (book) No entendía mi apellido
- Prefiero hablar con alguien
