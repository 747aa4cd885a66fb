/*
 * One SMTP or LMTP session, whatever the client says.  The first byte chooses the kind of
 * listener and how the rest is cut into pieces; replies and letters must be the same as
 * for the whole at once.
 */
#include <stdlib.h>

#include "policy/rules.h"
#include "../unit/smtp/kit.h"
#include "base/clock.h"
#include "base/journal.h"
#include "smtp/receiver/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char settings[] =
	"smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = no\nmessage_size_limit = 3000\nheader_size_limit = 500\n"
	"header_total_limit = 1000\nhopcount_limit = 2\nsmtpd_recipient_limit_stranger = 5\nsmtpd_error_sleep_time = 0\n"
	"smtpd_tls_security_level = none\nsubmission/smtpd_tls_security_level = none\n";

static void
run(struct kit *k, enum receiver_kind kind, struct bytes said, size_t piece)
{
	kit_open(k, kind, settings);
	if (k->config == NULL)
		abort();
	kit_say(k, said, piece);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum receiver_kind kinds[] = { KIND_SMTP, KIND_SUBMISSION, KIND_LMTP };
	static bool                     quiet;
	struct bytes                    said = { (const char *)data + 1, size - 1 };
	struct kit                      whole, cut;

	if (size < 2)
		return 0;
	if (!quiet)
		journal_open(JOURNAL_FILE, -1, false, "host");
	clock_pretend(1795311319);
	quiet = true;
	run(&whole, kinds[data[0] % COUNT(kinds)], said, 0);
	run(&cut, kinds[data[0] % COUNT(kinds)], said, 1 + data[0] / COUNT(kinds));
	if (!bytes_equal(buffer_bytes(&whole.out), buffer_bytes(&cut.out)) ||
	    whole.letters != cut.letters ||
	    !bytes_equal(buffer_bytes(&whole.stored), buffer_bytes(&cut.stored)))
		abort();
	kit_close(&whole);
	kit_close(&cut);
	return 0;
}
