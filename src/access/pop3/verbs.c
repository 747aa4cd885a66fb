/* What a POP3 client can ask in the TRANSACTION state (rfc1939:5, 7; rfc2449) */
#include "access/pop3/capability.h"
#include "access/pop3/sending.h"
#include "access/pop3/session.h"
#include "access/pop3/uniqueid.h"

static void
verb_stat(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	(void)argument;
	(void)count;
	pop3_say(s, "+OK %u %llu", s->count - s->deleted,
	         (unsigned long long)(s->size - s->deleted_size));
}

static void
list_line(struct pop3 *s, uint32_t index)
{
	pop3_say(s, "%u %llu", index + 1, (unsigned long long)s->message[index].size);
}

static void
verb_list(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	struct pop3_message *m;

	if (count == 0) {
		pop3_say(s, "+OK %u messages:", s->count - s->deleted);
		sending_list(s, list_line);
	} else if ((m = pop3_message_of(s, argument[0])) != NULL)
		pop3_say(s, "+OK %llu %llu", (unsigned long long)argument[0],
		         (unsigned long long)m->size);
}

static void
uidl_line(struct pop3 *s, uint32_t index)
{
	struct buffer *out = stream_out(s->stream);

	buffer_printf(out, "%u ", index + 1);
	uniqueid_say(out, s->service->config.rows.uidl_format, s->message[index].uid,
	             s->uidvalidity);
	buffer_add_string(out, "\r\n");
}

static void
verb_uidl(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	struct pop3_message *m;

	if (count == 0) {
		pop3_say(s, "+OK");
		sending_list(s, uidl_line);
	} else if ((m = pop3_message_of(s, argument[0])) != NULL) {
		buffer_add_string(stream_out(s->stream), "+OK ");
		uidl_line(s, (uint32_t)(m - s->message));
	}
}

static void
verb_retr(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	struct pop3_message *m = pop3_message_of(s, argument[0]);

	(void)count;
	if (m != NULL)
		sending_letter(s, m, UINT64_MAX);
}

static void
verb_top(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	struct pop3_message *m = pop3_message_of(s, argument[0]);

	(void)count;
	if (m != NULL)
		sending_letter(s, m, argument[1]);
}

static void
verb_dele(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	struct pop3_message *m = pop3_message_of(s, argument[0]);

	(void)count;
	if (m == NULL)
		return;
	m->deleted = m->touched = true;
	s->deleted++;
	s->deleted_size += m->size;
	pop3_say(s, "+OK Marked to be deleted.");
}

static void
verb_rset(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	(void)argument;
	(void)count;
	for (uint32_t i = 0; i < s->count; i++)
		s->message[i].deleted = s->message[i].touched = false;
	s->deleted = 0;
	s->deleted_size = 0;
	pop3_say(s, "+OK");
}

/* rfc1460:5: the highest number this session has looked at; RSET takes that back */
static void
verb_last(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	uint32_t last = s->count;

	(void)argument;
	(void)count;
	if (!s->service->config.rows.enable_last) {
		pop3_error(s, "Unknown command.");
		return;
	}
	while (last > 0 && !s->message[last - 1].touched)
		last--;
	pop3_say(s, "+OK %u", last);
}

/* rfc6856:3 */
static void
verb_lang(struct pop3 *s, struct bytes range)
{
	(void)pop3_language(range, stream_out(s->stream));
}

static void
verb_noop(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	(void)argument;
	(void)count;
	pop3_say(s, "+OK");
}

static void
verb_capa(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	(void)argument;
	(void)count;
	pop3_say(s, "+OK\r\nCAPA");
	pop3_capabilities(&s->service->config.rows, stream_out(s->stream));
	buffer_add_string(stream_out(s->stream), s->facts.offers);
	pop3_say(s, "IMPLEMENTATION Mansio\r\n.");
}

static void
verb_quit(struct pop3 *s, const uint64_t *argument, unsigned count)
{
	(void)argument;
	(void)count;
	pop3_quit(s);
}

/* clang-format off */
const struct pop3_verb pop3_verbs[] = {
	{ "STAT", 0, 0, verb_stat, NULL },
	{ "LIST", 0, 1, verb_list, NULL },
	{ "UIDL", 0, 1, verb_uidl, NULL },
	{ "RETR", 1, 1, verb_retr, NULL },
	{ "TOP",  2, 2, verb_top, NULL },
	{ "DELE", 1, 1, verb_dele, NULL },
	{ "RSET", 0, 0, verb_rset, NULL },
	{ "NOOP", 0, 0, verb_noop, NULL },
	{ "CAPA", 0, 0, verb_capa, NULL },
	{ "LAST", 0, 0, verb_last, NULL },
	{ "LANG", 0, 0, NULL, verb_lang },
	{ "QUIT", 0, 0, verb_quit, NULL },
};
/* clang-format on */
const size_t pop3_verb_count = COUNT(pop3_verbs);
