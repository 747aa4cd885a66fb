/* IDLE: say at once what happens, until the client says DONE */
#include "access/imap/contexts.h"
#include "access/imap/input.h"
#include "access/imap/session.h"

struct idle_work {
	bool begun;
};

static void
idle_parse(struct imap *s, struct scan *r)
{
	(void)r;
	s->work = arena_take(s->scratch, sizeof(struct idle_work));
}

/* idle = "IDLE" CRLF "DONE"   rfc2177:4 */
static enum imap_step
idle_run(struct imap *s)
{
	const struct imap_settings *rows = &imap_config_of(s)->rows;
	struct idle_work           *w = s->work;
	struct bytes                line;
	size_t                      used;
	bool                        done;

	if (!w->begun) {
		if (s->view != NULL)
			(void)mailbox_sync(s->view->mailbox, NULL, NULL);
		stream_say_string(s->stream, "+ idling\r\n");
		stream_patience(s->stream, rows->idle_notify_ms);
		w->begun = true;
	}
	if (!imap_tell(s, true) || contexts_go(s) == STEP_AGAIN)
		return STEP_AGAIN;
	if (s->end != NULL || !input_line(s->input, &line, &used))
		return STEP_WAIT;
	done = bytes_is(line, "DONE");
	input_eat(s->input, used);
	stream_patience(s->stream, rows->autologout_ms);
	return done ? imap_ok(s, "Idle completed.") : imap_bad(s, "Expected DONE.");
}

const struct imap_command imap_idle = {
	.name = "IDLE",
	.rfc = "rfc9051:6.3.13",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | TAKES_INPUT | PATIENT | NEEDS_NO_MESSAGE,
	.parse = idle_parse,
	.run = idle_run,
};
