/*
 * Messages of a SASL exchange, one a line, behind the name of the mechanism.  Whoever is let in without
 * a password to be checked must have proved it: no noise can.
 */
#include <stdlib.h>

#include "base/journal.h"
#include "sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
verifier(void *ctx, struct bytes user, struct arena *a, struct sasl_verifier *out)
{
	(void)ctx, (void)a;
	*out = (struct sasl_verifier){ "4096", "W22ZaJ0SNY7soEsUEjb6gQ==",
		                       "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
		                       "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=" };
	return user.len != 3;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sasl_needs needs = { verifier };
	struct bytes                   rest = { (const char *)data, size }, part;
	struct buffer                  out = { 0 };
	enum sasl_outcome              o = SASL_MORE;
	struct sasl                   *s;

	if (!bytes_split(&rest, '\n', &part))
		return 0;
	s = sasl_begin(part, &needs, NULL);
	if (s == NULL)
		return 0;
	while (o == SASL_MORE) {
		bool more = bytes_split(&rest, '\n', &part);

		buffer_reset(&out);
		o = sasl_step(s, more, more ? part : BYTES(""), &out);
		if (!more && o == SASL_MORE && rest.len == 0)
			break;
	}
	if (o == SASL_PROVED)
		abort();
	if (o == SASL_CHECK && (sasl_user(s).len == 0 || sasl_password(s).len == 0 ||
	                        bytes_find(sasl_user(s), '\0') >= 0))
		abort();
	sasl_end(&s);
	buffer_free(&out);
	return 0;
}
