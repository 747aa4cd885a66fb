/*
 * queue-mishap -- a letter to the postmaster with what was said in a session that went wrong (role/mishaps.h)
 *
 * It is from nobody, so nothing is ever said of it in turn.
 */
#include "base/clock.h"
#include "role/queue.h"
#include "smtp/reply.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void
write_header(struct queue_role *k, const struct word_mishap *w, struct buffer *out)
{
	const char *host = k->common.myhostname;
	bool        bare = strchr(w->to, '@') == NULL;
	char        date[64];

	clock_rfc5322(clock_wall(), date, sizeof date);
	buffer_printf(
		out,
		"From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: Postmaster <%s%s%s>\r\nSubject: ",
		host, w->to, bare ? "@" : "", bare ? host : "");
	reply_text(out, bytes_of(k->common.mail_name));
	buffer_printf(out, " %s: errors from ", w->what);
	reply_text(out, bytes_of(w->who));
	buffer_printf(out,
	              "\r\nDate: %s\r\nMessage-ID: <%" PRIx64 ".%" PRIx32 ".session@%s>\r\n"
	              "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	              "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
	              date, (uint64_t)clock_wall_us(), ++k->mishaps, host);
}

bool
hear_mishap(struct house *h, struct bytes body)
{
	struct arena      *a = arena_open(NULL);
	struct buffer      content = { 0 };
	struct word_mishap w;
	bool               good = word_unpack_mishap(body, a, &w);

	if (good) {
		write_header(queue_of(h), &w, &content);
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
		queue_tell_postmaster(h, w.to, &content);
	}
	buffer_free(&content);
	arena_close(&a);
	return good;
}
