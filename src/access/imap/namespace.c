/* NAMESPACE and ID: what the two ends are */
#include "access/imap/reach.h"
#include "access/imap/session.h"
#include "access/imap/write.h"
#include "base/journal.h"

enum { ID_PAIRS_MOST = 30 };

static void
namespace_parse(struct imap *s, struct scan *r)
{
	(void)s;
	(void)r;
}

static enum imap_step
namespace_run(struct imap *s)
{
	bool shows = reach_shows(s);

	/* Other users', then what is shared, once there is something to see. */
	buffer_printf(imap_out(s), "* NAMESPACE ((\"\" \"/\")) %s %s\r\n",
	              shows ? "((\"" OTHERS "\" \"/\"))" : "NIL",
	              shows ? "((\"" GROUPS "\" \"/\"))" : "NIL");
	return imap_ok(s, "Namespace completed.");
}

const struct imap_command imap_namespace = {
	.name = "NAMESPACE",
	.rfc = "rfc2342:5",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = namespace_parse,
	.run = namespace_run,
};

/* id = "ID" SP id-params-list; id-params-list = "(" *(string SP nstring) ")" / nil   rfc2971:4.
   What the client says about itself goes into the log. */
static void
id_parse(struct imap *s, struct scan *r)
{
	struct buffer words = { 0 };
	bool          nil;

	read_space(r);
	if (scan_skip_word(r, "NIL"))
		return;
	scan_expect(r, "(");
	for (int pairs = 0; scan_ok(r) && !scan_next_is(r, ')') && pairs < ID_PAIRS_MOST; pairs++) {
		struct bytes key, value;
		if (pairs > 0)
			read_space(r);
		key = read_string(r, s->scratch);
		read_space(r);
		value = read_nstring(r, s->scratch, &nil);
		if (!nil && scan_ok(r))
			buffer_printf(&words, "%s%.*s=%.*s", pairs > 0 ? ", " : "", (int)key.len,
			              key.at, (int)value.len, value.at);
	}
	scan_expect(r, ")");
	if (scan_ok(r))
		s->work = arena_copy(s->scratch, bytes_cut(buffer_bytes(&words), 0, 1000));
	buffer_free(&words);
}

static enum imap_step
id_run(struct imap *s)
{
	struct buffer *out = imap_out(s);

	if (s->work != NULL)
		note_as("mansio/imap", "imap(%s)<%s>: ID sent: %s", s->facts.user, s->facts.session,
		        (const char *)s->work);
	buffer_add_string(out, "* ID (\"name\" \"Mansio\" \"version\" ");
	write_string(out, bytes_of(imap_config_of(s)->version));
	buffer_add_string(out, " \"vendor\" \"Mansio\" \"os\" \"Linux\")\r\n");
	return imap_ok(s, "ID completed.");
}

const struct imap_command imap_id = {
	.name = "ID",
	.rfc = "rfc2971:3.1",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = id_parse,
	.run = id_run,
};
