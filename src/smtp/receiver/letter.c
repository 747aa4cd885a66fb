#include "smtp/receiver/letter.h"
#include "smtp/receiver/tls-words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Buffers of letters that have gone, for those that come: a busy receiver
   takes no memory from the system for a small letter. */
enum { SPARE_BUFFERS = 32, SPARE_LEAST = 4096, SPARE_MOST = 64 << 10 };
static struct buffer spare[SPARE_BUFFERS];
static size_t        spares;
static uint64_t      in_hand;

static struct buffer
buffer_from_spares(void)
{
	struct buffer fresh = { 0 };

	return spares > 0 ? spare[--spares] : fresh;
}

static void
buffer_to_spares(struct buffer *b)
{
	buffer_reset(b);
	if (b->_room >= SPARE_LEAST && b->_room <= SPARE_MOST && spares < SPARE_BUFFERS) {
		spare[spares++] = *b;
		*b = (struct buffer){ 0 };
	} else
		buffer_free(b);
}

struct letter *
letter_open(struct session *s, struct bytes sender)
{
	struct arena  *life = arena_open(NULL);
	struct letter *l = arena_take(life, sizeof *l);

	l->life = life;
	l->session = s;
	l->sender = arena_keep(life, sender);
	l->content = buffer_from_spares();
	content_begin(&l->reader);
	return l;
}

struct letter_rcpt *
letter_add(struct letter *l, struct bytes address)
{
	if (l->rcpts == l->rcpt_room) {
		uint32_t            room = l->rcpt_room == 0 ? 4 : 2 * l->rcpt_room;
		struct letter_rcpt *more = arena_take_array(l->life, room, sizeof *more);

		if (l->rcpts > 0)
			memcpy(more, l->rcpt, l->rcpts * sizeof *more);
		l->rcpt = more;
		l->rcpt_room = room;
	}
	l->rcpt[l->rcpts] = (struct letter_rcpt){ .address = arena_keep(l->life, address) };
	return &l->rcpt[l->rcpts++];
}

void
letter_charge(struct letter *l, uint64_t bytes)
{
	in_hand = in_hand - l->_charged + bytes;
	l->_charged = bytes;
}

uint64_t
letters_in_hand(void)
{
	return in_hand;
}

void
letter_drop(struct letter **lp)
{
	struct letter *l = *lp;
	struct arena  *life;

	*lp = NULL;
	if (l == NULL)
		return;
	letter_charge(l, 0);
	buffer_to_spares(&l->content);
	receiver_config_drop(&l->config);
	life = l->life;
	arena_close(&life);
}

/* Time-stamp-line = "Received:" FWS From-domain FWS By-domain FWS Opt-info ";" FWS date-time
   rfc5321:4.4, with the TLS facts as a comment. */
void
letter_received(struct letter *l, const char *id, struct buffer *out)
{
	char date[64];

	clock_rfc5322(l->arrived_us / 1000000, date, sizeof date);
	/* As Postfix has it: no host brought it but somebody who is logged in here, and who that is the kernel says. */
	if (l->of_userid)
		buffer_printf(out, "Received: by %s (%s, from userid %" PRIu32 ")\r\n",
		              l->config->myhostname, l->config->mail_name, l->userid);
	else
		buffer_printf(out, "Received: from %.*s (%.*s [%s%s])\r\n", (int)l->helo.len,
		              l->helo.at, (int)l->name.len, l->name.at,
		              l->peer.family == AF_INET6 ? "IPv6:" : "", l->peer.text);
	if (l->tls != NULL && l->config->set.tls_received_header)
		tls_trace(l->tls, out);
	if (l->user.len > 0 && l->config->set.auth_header)
		buffer_printf(out, "\t(Authenticated sender: %.*s)\r\n", (int)l->user.len,
		              l->user.at);
	if (!l->of_userid)
		buffer_printf(out, "\tby %s (%s) with %s", l->config->myhostname,
		              l->config->mail_name, l->protocol);
	/* rfc3865: what the client said its letter is, beside the protocol that it said it in */
	if (l->brought.solicit.len > 0)
		buffer_printf(out, "%s\t(SOLICIT=%.*s)\r\n\t", l->of_userid ? "" : "\r\n",
		              (int)l->brought.solicit.len, l->brought.solicit.at);
	else
		buffer_add_char(out, l->of_userid ? '\t' : ' ');
	buffer_printf(out, "id %s", id);
	/* rfc5321:7.6: several recipients are not told of one another */
	if (l->rcpts == 1)
		buffer_printf(out, "\r\n\tfor <%.*s>", (int)l->rcpt[0].address.len,
		              l->rcpt[0].address.at);
	/* rfc6710:5: a clause of those that are registered besides (rfc5321:4.4) */
	if (l->handling.priority != 0)
		buffer_printf(out, "\r\n\tPRIORITY %d", l->handling.priority);
	buffer_printf(out, "; %s\r\n", date);
}

/* rfc6409:8.2, 8.3: what a user's program may leave to us. */
void
letter_missing(struct letter *l, const char *id, struct buffer *out)
{
	struct fields *f = &l->reader.fields;
	char           date[64];

	if (!l->submission && !l->config->set.add_missing)
		return;
	clock_rfc5322(l->arrived_us / 1000000, date, sizeof date);
	if (!(f->seen & SEEN_FROM) && l->sender.len > 0)
		buffer_printf(out, "From: <%.*s>\r\n", (int)l->sender.len, l->sender.at);
	if (!(f->seen & SEEN_DATE))
		buffer_printf(out, "Date: %s\r\n", date);
	if (!(f->seen & SEEN_MESSAGE_ID)) {
		snprintf(f->message_id, sizeof f->message_id, "<%lld.%s@%s>",
		         (long long)l->arrived_us / 1000000, id, l->config->myhostname);
		buffer_printf(out, "Message-ID: %s\r\n", f->message_id);
	}
}
