/*
 * queue-mishap -- a letter to the postmaster with what was said in a session that went wrong (role/mishaps.h), or with
 * what else they should know before somebody is harmed (mishap_alert())
 *
 * It is from nobody, so nothing is ever said of it in turn.
 */
#include "base/clock.h"
#include "role/queue.h"
#include "smtp/reply.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* To whom, and of what, as far as the name of this program in the subject. */
static void
begin_header(const struct queue_role *k, const char *to, struct buffer *out)
{
	const char *host = k->common.myhostname;
	bool        bare = strchr(to, '@') == NULL;

	buffer_printf(
		out,
		"From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: Postmaster <%s%s%s>\r\nSubject: ",
		host, to, bare ? "@" : "", bare ? host : "");
	reply_text(out, bytes_of(k->common.mail_name));
}

static void
end_header(struct queue_role *k, const char *kind, struct buffer *out)
{
	char date[64];

	clock_rfc5322(clock_wall(), date, sizeof date);
	buffer_printf(out,
	              "\r\nDate: %s\r\nMessage-ID: <%" PRIx64 ".%" PRIx32 ".%s@%s>\r\n"
	              "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	              "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
	              date, (uint64_t)clock_wall_us(), ++k->mishaps, kind, k->common.myhostname);
}

bool
hear_mishap(struct house *h, struct bytes body)
{
	struct arena      *a = arena_open(NULL);
	struct buffer      content = { 0 };
	struct word_mishap w;
	bool               good = word_unpack_mishap(body, a, &w);

	if (good) {
		begin_header(queue_of(h), w.to, &content);
		buffer_printf(&content, " %s: errors from ", w.what);
		reply_text(&content, bytes_of(w.who));
		end_header(queue_of(h), "session", &content);
		buffer_add_string(&content, "What was said in this session:\r\n\r\n");
		buffer_add(&content, w.text);
		if (w.left_out > 0)
			buffer_printf(&content, "\r\nLines that are left out: %" PRIu32 ".\r\n",
			              w.left_out);
		if (w.unsaid > 0)
			buffer_printf(&content,
			              "\r\nSessions that went wrong, and of which there were "
			              "too many to tell of each: %" PRIu32 ".\r\n",
			              w.unsaid);
		buffer_add_string(&content, "\r\nThe log knows more of it.\r\n");
		queue_tell_postmaster(h, w.to, 0, &content);
	}
	buffer_free(&content);
	arena_close(&a);
	return good;
}

bool
hear_alert(struct house *h, struct bytes body)
{
	struct arena     *a = arena_open(NULL);
	struct buffer     content = { 0 };
	struct word_alert w;
	bool              good = word_unpack_alert(body, a, &w);

	if (good) {
		begin_header(queue_of(h), w.to, &content);
		buffer_add_string(&content, ": ");
		reply_text(&content, bytes_of(w.subject));
		end_header(queue_of(h), "alert", &content);
		for (struct bytes rest = bytes_of(w.text), line; bytes_split(&rest, '\n', &line);) {
			reply_text(&content, line);
			buffer_add_string(&content, "\r\n");
		}
		queue_tell_postmaster(h, w.to, ENVELOPE_WARNING, &content);
	}
	buffer_free(&content);
	arena_close(&a);
	return good;
}
