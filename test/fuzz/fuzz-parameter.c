/* What may stand behind MAIL and RCPT: what is taken shows nothing in a notice that ends its line. */
#include <stdlib.h>

#include "message/envelope.h"
#include "message/notice.h"
#include "smtp/extension.h"
#include "smtp/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* No line of a notice is of the client's making. */
static void
shown(struct bytes orcpt, struct bytes envid)
{
	struct notice_recipient to = { .original = orcpt, .final = BYTES("a@b.c"), .status = BYTES("2.0.0"),
		                       .diagnostic = BYTES("ok"), .what = NOTICE_DELIVERED };
	struct notice n = { .kind = NOTICE_DELIVERED, .host = "h.example", .queue_id = BYTES("1A"), .sender = BYTES("s@t.u"),
		            .envid = envid, .recipient = &to, .recipients = 1, .utf8 = true };
	struct buffer out = { 0 };
	struct bytes  text;

	notice_write(&n, &out);
	text = buffer_bytes(&out);
	for (size_t i = 0; i < text.len; i++)
		if ((text.at[i] == '\n') != (i > 0 && text.at[i - 1] == '\r') && (text.at[i] == '\n' || text.at[i] != '\r'))
			abort();
	buffer_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes        in = { (const char *)at, len };
	struct arena       *a = arena_open(NULL);
	struct mail_command m;
	struct rcpt_command r;
	const char         *no;
	int64_t             seconds;

	for (unsigned way = 0; way < 4; way++) {
		struct grammar g = { .strict = way & 1, .ascii = true, .utf8 = (way & 2) != 0, .extensions = ~0u };

		if (mail_parse(in, &g, a, &m, &no)) {
			if (m.with.envid.len > 100 || m.with.priority > 9 || m.with.priority < -9 ||
			    (m.with.by_mode == 'R' && m.with.by <= 0))
				abort();
			shown(BYTES(""), m.with.envid);
		} else if (no == NULL || no[0] != '5')
			abort();
		if (rcpt_parse(in, &g, a, &r, &no))
			shown(r.with.orcpt, BYTES(""));
		else if (no == NULL || no[0] != '5')
			abort();
		(void)vrfy_parse(in, &g, a, &r, &no);
	}
	(void)date_time_read(in, &seconds);
	arena_close(&a);
	return 0;
}
