# Fjell & Fjord en español.
@ order: 80210..96990
@ product: Chaqueta Storm || Zapatillas Lynx || Tienda Aurora 2 || Mochila Fjord 45
@ wear: Chaqueta Storm || Chaleco Sula || Forro Tind
@ hub: Madrid || Zaragoza || Irún
@ other: M || L || XL
@ euro: 39..189

== where_is_my_order | ¿Dónde está el pedido {order}?
u: ¿Dónde está mi pedido {order}? || Hola, pedí hace una semana y no llega, {order} || ¿Cuándo llega {order}?
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "shipped", "carrier": "DHL", "tracking": "00340{order}12"} ~210
t: track_parcel {"tracking": "00340{order}12"} => {"status": "in transit", "last_scan": "{hub}", "expected": "{isodate}"} ~740
a: Tu paquete pasó por **{hub}** y debería llegar el **{day} {date}**. || Está en camino: último escaneo en {hub}, entrega prevista el **{day}**.

== return | Devolución de {wear}
u: ¿Cómo devuelvo un producto? || La talla no me queda, quiero cambiar {wear} || Quiero devolver algo del pedido {order}
t: get_order {"order": "{order}"} => {"order": "{order}", "status": "delivered", "returnable_until": "{isodate}"} ~190
a: Claro, la devolución es gratis hasta el **{date}**. ¿Qué prefieres?
b: return_choice | Reembolso=refund*5 | Otra talla=exchange*4
(refund) t: create_return {"order": "{order}", "kind": "refund"} => {"return_id": "R-{order}"} ~480
(refund) f: agent document etiqueta-{order}.pdf | Aquí tienes la etiqueta de devolución.
(exchange) u: Una más grande, {other}
(exchange) t: check_stock {"product": "{wear}", "size": "{other}"} => {"in_stock": true, "quantity": 7} ~130
(exchange) a: La talla **{other}** está disponible y ya la he apartado para ti.

== damaged | Llegó dañado
u: {product} llegó con un agujero || La cremallera se rompió al segundo día
a: Lo siento mucho. ¿Me envías una foto?
f: user image foto.png | Aquí está
t: refund {"order": "{order}", "amount_eur": {euro}} => {"refunded": true, "amount_eur": {euro}} ~900
a: Gracias. Te he devuelto **{euro} €**, los verás en 3 a 5 días.

== _hello
a: ¡Hola! Soy Lynx, de Fjell & Fjord. ¿En qué te ayudo?
== _also
u: Otra cosa || Y una pregunta más
== _thanks
u: ¡Gracias! || Genial, muchas gracias
a: ¡A ti! Disfruta la montaña.
== _helpful
a: ¿Te ha servido?
b: after_chat | Sí=yes*5 | No mucho=no
== _retry
a: El sistema va lento, lo intento otra vez.
== _failed
a: Lo siento, no puedo acceder a los pedidos ahora mismo. Un compañero te escribirá hoy.
== _handover
u: Quiero hablar con una persona || ¿Hay algún teléfono?
a: Claro, te paso con mis compañeros.
== _good
- Muy rápido
- Excelente atención
== _neutral
- Regular
== _bad
- No me resolvió nada
