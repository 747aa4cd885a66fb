/* xforward.c -- XFORWARD (Postfix's XFORWARD_README): the server behind a filter hears whose letter it is */
#include "base/journal.h"
#include "smtp/sender/outgoing_inner.h"

#include <string.h>

enum attribute { NAME, ADDR, PORT, PROTO, HELO, IDENT, SOURCE, ATTRIBUTES };
static const char *const names[ATTRIBUTES] = {
	[NAME] = "NAME", [ADDR] = "ADDR",   [PORT] = "PORT",     [PROTO] = "PROTO",
	[HELO] = "HELO", [IDENT] = "IDENT", [SOURCE] = "SOURCE",
};
/* What stands in one command. */
static const struct {
	enum attribute from, to;
} steps[] = {
	{ NAME, PORT },
	{ PROTO, SOURCE },
};
enum { VALUE_MOST = 255 };

void
outgoing_xforward_offer(struct outgoing *o, struct bytes words)
{
	struct bytes word;

	while (bytes_split(&words, ' ', &word))
		for (unsigned i = 0; i < ATTRIBUTES; i++)
			if (bytes_is(word, names[i]))
				o->xforward |= 1U << i;
}

static struct bytes
value_of(const struct outgoing_origin *from, enum attribute a)
{
	switch (a) {
	case NAME: return from->name;
	case ADDR: return from->address;
	case PORT: return from->port;
	case PROTO: return from->protocol;
	case HELO: return from->helo;
	case IDENT: return from->ident;
	case SOURCE: return from->source;
	default: return BYTES("");
	}
}

/* Values are xtext (rfc3461:4), addresses as rfc5321:4.1.3 has them. */
static void
add_value(struct buffer *out, enum attribute a, struct bytes value)
{
	if (value.len == 0) {
		buffer_add_string(out, "[UNAVAILABLE]");
		return;
	}
	if (a == ADDR && bytes_find(value, ':') >= 0)
		buffer_add_string(out, "IPV6:");
	for (size_t i = 0; i < value.len && i < VALUE_MOST; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (c > ' ' && c < 127 && c != '+' && c != '=')
			buffer_add_char(out, (char)c);
		else
			buffer_printf(out, "+%02X", c);
	}
}

/* Whether this command would tell anything at all. */
static bool
tells(const struct outgoing *o, size_t step)
{
	for (unsigned a = steps[step].from; a <= steps[step].to; a++)
		if ((o->xforward >> a & 1) != 0 &&
		    value_of(&o->t->origin, (enum attribute)a).len > 0)
			return true;
	return false;
}

bool
outgoing_xforward_say(struct outgoing *o)
{
	struct buffer *out;
	size_t         step, from;

	if (!o->config.xforward || (o->offers & OFFERS_XFORWARD) == 0)
		return false;
	do {
		if ((size_t)o->xforward_step >= COUNT(steps))
			return false;
		step = (size_t)o->xforward_step++;
	} while (!tells(o, step));
	out = o->needs->out(o->mouth);
	from = out->len;
	buffer_add_string(out, "XFORWARD");
	for (unsigned a = steps[step].from; a <= steps[step].to; a++)
		if ((o->xforward >> a & 1) != 0) {
			buffer_printf(out, " %s=", names[a]);
			add_value(out, (enum attribute)a,
			          value_of(&o->t->origin, (enum attribute)a));
		}
	outgoing_said_line(o, out, from);
	o->phase = PHASE_XFORWARD;
	outgoing_wait_for(o, WAIT_XFORWARD);
	return true;
}

/* Who does not want to hear it gets the letter all the same. */
void
outgoing_hear_xforward(struct outgoing *o)
{
	if (o->heard.code == 421) { /* rfc5321:3.8: it goes */
		outgoing_transaction_lost(o, FATE_ELSEWHERE, "4.3.0", outgoing_said(o, NULL));
		return;
	}
	if (o->heard.code / 100 != 2)
		warn_("%s", outgoing_said(o, "XFORWARD command"));
	if (outgoing_xforward_say(o))
		return;
	o->phase = PHASE_ENVELOPE;
	outgoing_say_envelope(o);
}
