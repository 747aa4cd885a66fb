/* Settings of TLS and files of keys and certificates: whatever stands there, nothing of a private key is shown, and
   versions, ciphers and groups are only what they may be. */
#include "base/buffer.h"
#include "channel/tls.h"
#include "channel/tls_rules.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes        in = { (const char *)data, size }, rest, chain, wrong;
	struct buffer       out = { 0 }, again = { 0 };
	struct tls_versions v = { false, false, false };

	tls_public_part(in, &out);
	tls_public_part(buffer_bytes(&out), &again);
	for (rest = buffer_bytes(&again); bytes_split(&rest, '\n', &chain);)
		if (bytes_starts(chain, BYTES("-----BEGIN ")) &&
		    bytes_search(chain, BYTES("PRIVATE")) >= 0 &&
		    bytes_search(chain, BYTES("-----BEGIN CERTIFICATE-----")) != 0 &&
		    bytes_search(chain, BYTES("-----BEGIN X509 CERTIFICATE-----")) != 0 &&
		    bytes_search(chain, BYTES("-----BEGIN TRUSTED CERTIFICATE-----")) != 0)
			abort();
	for (rest = buffer_bytes(&out); tls_next_chain(&rest, &chain);)
		if (bytes_search(chain, BYTES("# key\n")) >= 0)
			abort();
	if (tls_protocols(in, &v, &wrong) && !v.v12 && !v.v13)
		abort();
	buffer_reset(&out);
	if (tls_ciphers(BYTES("HIGH"), in, &out) &&
	    bytes_search(buffer_bytes(&out), BYTES(":+")) >= 0)
		abort();
	buffer_reset(&out);
	tls_curves(in, &out);
	(void)tls_option(in);
	buffer_free(&out);
	buffer_free(&again);
	return 0;
}
