#include "smtp/history.h"

static const struct {
	const char *name;
	unsigned    bit;
} classes[] = { { "bounce", FAULT_BOUNCE },     { "policy", FAULT_POLICY },
	        { "protocol", FAULT_PROTOCOL }, { "resource", FAULT_RESOURCE },
	        { "software", FAULT_SOFTWARE }, { "data", FAULT_DATA } };

unsigned
fault_class_named(struct bytes word)
{
	for (size_t i = 0; i < COUNT(classes); i++)
		if (bytes_is(word, classes[i].name))
			return classes[i].bit;
	return 0;
}

/* ---- what is to blame ---- */

/* By code or by status behind its first digit, in this order; the rest of what refuses is a rule's doing. */
static const struct {
	const char *code, *status;
	unsigned    fault;
} blamed[] = {
	{ "535", "", 0 },              /* a password that is wrong             */
	{ "421", "4.4.2", 0 },         /* silence                              */
	{ "421", "4.3.2", 0 },         /* we leave                             */
	{ "454", "", FAULT_SOFTWARE }, /* TLS, logins: not now                 */
	{ "552", "", FAULT_BOUNCE },   /* too much of it                       */
	{ "50", "", FAULT_PROTOCOL },  /* rfc5321:4.2.2 x0z: syntax            */
	{ "555", "", FAULT_PROTOCOL },
	{ "", ".5.", FAULT_PROTOCOL },
	{ "421", "4.7.0", FAULT_PROTOCOL }, /* too many of these                 */
	{ "", ".3.1", FAULT_RESOURCE },
	{ "", ".3.0", FAULT_DATA },
	{ "", ".3.5", FAULT_SOFTWARE },
	{ "", ".3.", FAULT_SOFTWARE },
	{ "", ".1.1", FAULT_BOUNCE },
	{ "", ".4.6", FAULT_BOUNCE },
};

/* "550 5.1.1 ..." */
unsigned
fault_of_reply(struct bytes reply)
{
	struct bytes code = bytes_cut(reply, 0, 3), status = bytes_cut(reply, 4, 16);

	if (code.len < 3 || (code.at[0] != '4' && code.at[0] != '5'))
		return 0;
	for (size_t i = 0; i < COUNT(blamed); i++) {
		struct bytes wanted = bytes_of(blamed[i].status);

		if (bytes_starts(code, bytes_of(blamed[i].code)) &&
		    (bytes_starts(status, wanted) ||
		     bytes_starts(bytes_cut(status, 1, SIZE_MAX), wanted)))
			return blamed[i].fault;
	}
	return FAULT_POLICY;
}

/* Rules refuse with the words and the status of who wrote the tables (retry:4.3.2 in transport_maps, 450 4.3.0 in access(5)), and
   `defer` says 4.3.2: no trouble of ours.  Where something could not be asked the code is 451. */
unsigned
fault_of_rule(struct bytes rule, struct bytes reply)
{
	static const char *const directory[] = { "smtpd_reject_unlisted_recipient",
		                                 "reject_unlisted_recipient",
		                                 "check_recipient_maps", "reject_unlisted_sender" };
	const unsigned           ours = FAULT_RESOURCE | FAULT_SOFTWARE | FAULT_DATA;
	unsigned                 fault = fault_of_reply(reply);

	if (rule.len == 0 || bytes_starts(reply, BYTES("451")))
		return fault;
	for (size_t i = 0; i < COUNT(directory); i++)
		if (bytes_is(rule, directory[i]) &&
		    (bytes_starts(reply, BYTES("450")) || bytes_starts(reply, BYTES("550"))))
			return FAULT_BOUNCE;
	return (fault & ours) != 0 ? FAULT_POLICY : fault;
}

/* rfc5321:4.2.1: what is no refusal at all, and syntax that the host does not know: one of us has not learned it. */
unsigned
fault_of_answer(uint16_t code)
{
	return code < 400 || code > 599 || code == 555 || (code >= 500 && code < 510)
	               ? FAULT_PROTOCOL
	               : 0;
}

/* ---- what is kept ---- */

/* How much of a line may be seen: AUTH and the mechanism, BURL. */
static size_t
seen_of(struct bytes line)
{
	size_t at = 5;

	if (bytes_starts_nocase(line, BYTES("BURL ")))
		return 4;
	if (!bytes_starts_nocase(line, BYTES("AUTH ")))
		return line.len;
	while (at < line.len && line.at[at] != ' ' && line.at[at] != '\t')
		at++;
	return at;
}

static void
add_line(struct history *h, bool heard, struct bytes line)
{
	size_t       most = seen_of(line);
	struct bytes kept = bytes_cut(line, 0, most < HISTORY_LINE_MOST ? most : HISTORY_LINE_MOST);
	char        *room;

	if (h->text.len + kept.len > HISTORY_MOST) {
		h->left_out++;
		return;
	}
	h->lines++;
	buffer_add_string(&h->text, heard ? " In:  " : " Out: ");
	room = buffer_room(&h->text, kept.len);
	for (size_t i = 0; i < kept.len; i++)
		room[i] = kept.at[i] < ' ' || kept.at[i] > '~' ? '?' : kept.at[i];
	buffer_took(&h->text, kept.len);
	if (kept.len < line.len)
		buffer_add_string(&h->text, most < line.len ? " [not shown]" : " [...]");
	buffer_add_string(&h->text, "\r\n");
}

void
history_add(struct history *h, bool heard, struct bytes lines)
{
	struct bytes line;

	while (h->wanted != 0 && bytes_split(&lines, '\n', &line))
		if (line.len > 0)
			add_line(h, heard,
			         bytes_cut(line, 0, line.len - (line.at[line.len - 1] == '\r')));
}

void
history_blame(struct history *h, unsigned faults)
{
	h->faults |= faults;
}

bool
history_is_wanted(const struct history *h)
{
	return !h->quiet && (h->faults & h->wanted) != 0;
}

struct bytes
history_text(const struct history *h)
{
	return buffer_bytes(&h->text);
}

void
history_reset(struct history *h)
{
	buffer_reset(&h->text);
	h->faults = 0;
	h->lines = h->left_out = 0;
}

void
history_free(struct history *h)
{
	buffer_free(&h->text);
}
