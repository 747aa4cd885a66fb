/* ENABLE: the client says what it understands beyond the beginnings */
#include "access/imap/session.h"

static void
utf8_enable(struct imap *s)
{
	s->utf8 = true;
}

/* rfc9051:A: names and quoted strings are UTF-8 from here; \Recent is of the past. */
static void
rev2_enable(struct imap *s)
{
	s->rev2 = true;
	if (s->view != NULL)
		s->view->recent = UINT32_MAX;
}

static void
uidonly_enable(struct imap *s)
{
	s->uidonly = true;
}

/* What can be enabled; `where` is the session's word for it.  A client's word for anything else is
   passed over (rfc5161:3.1). */
/* clang-format off */
static const struct { const char *word; size_t where; void (*enable)(struct imap *); } extensions[] = {
	{ "CONDSTORE",   offsetof(struct imap, condstore), imap_enable_condstore },
	{ "QRESYNC",     offsetof(struct imap, qresync),   imap_enable_qresync   },
	{ "UIDONLY",     offsetof(struct imap, uidonly),   uidonly_enable        },
	{ "UTF8=ACCEPT", offsetof(struct imap, utf8),      utf8_enable           },
	{ "IMAP4rev2",   offsetof(struct imap, rev2),      rev2_enable           },
};
/* clang-format on */
struct enable_work {
	bool wanted[COUNT(extensions)];
};

/* enable = "ENABLE" 1*(SP capability) */
static void
enable_parse(struct imap *s, struct scan *r)
{
	struct enable_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	do {
		struct bytes word = read_atom(r);
		for (size_t i = 0; i < COUNT(extensions); i++)
			if (bytes_is(word, extensions[i].word))
				w->wanted[i] = true;
	} while (scan_ok(r) && scan_skip(r, ' '));
}

/* ENABLED names what was not so before (rfc5161:3.2). */
static enum imap_step
enable_run(struct imap *s)
{
	struct enable_work *w = s->work;

	buffer_add_string(imap_out(s), "* ENABLED");
	for (size_t i = 0; i < COUNT(extensions); i++) {
		w->wanted[i] &= !*(const bool *)((const char *)s + extensions[i].where);
		if (w->wanted[i])
			buffer_printf(imap_out(s), " %s", extensions[i].word);
	}
	buffer_add_string(imap_out(s), "\r\n");
	for (size_t i = 0; i < COUNT(extensions); i++)
		if (w->wanted[i])
			extensions[i].enable(s);
	return imap_ok(s, "Enabled.");
}

const struct imap_command imap_enable = {
	.name = "ENABLE",
	.rfc = "rfc9051:6.3.1",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = enable_parse,
	.run = enable_run,
};
