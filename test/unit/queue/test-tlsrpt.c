/* Reports about TLS (rfc8460): what is counted, kept as bytes, and said; and what older servers have kept. */
#include "base/pack.h"
#include "queue/tlsrpt.h"
#include "unit.h"

static const struct tlsrpt_session bad = { TLSRPT_STS,
	                                   "mode: enforce\nmx: mx.d.example\n",
	                                   "mx.d.example",
	                                   "192.0.2.1",
	                                   "192.0.2.9",
	                                   "mail.d.example",
	                                   "certificate-expired",
	                                   "" };

static void
test_said(void **state)
{
	static const struct tlsrpt_head head = { "we.example", "tls@we.example", "1", "d.example",
		                                 0 };
	struct tlsrpt                  *t = tlsrpt_open(), *again;
	struct buffer                   packed = { 0 }, json = { 0 };

	(void)state;
	tlsrpt_add(t, &bad);
	tlsrpt_add(t, &bad);
	tlsrpt_pack(t, &packed);
	again = tlsrpt_unpack(buffer_bytes(&packed));
	HOLDS("it is what it was", again != NULL);
	tlsrpt_write(again, &head, &json);
	HOLDS("rfc8460:4.4: all members of a failure",
	      bytes_search(
		      buffer_bytes(&json),
		      BYTES("\"failure-details\":[{\"receiving-mx-hostname\":\"mx.d.example\",\"receiving-ip\":\"192.0.2.1\","
	                    "\"result-type\":\"certificate-expired\",\"sending-mta-ip\":\"192.0.2.9\",\"receiving-mx-helo\":\"mail.d.example\","
	                    "\"failed-session-count\":2}]")) > 0);
	buffer_free(&packed);
	buffer_free(&json);
	tlsrpt_close(&again);
	tlsrpt_close(&t);
}

/* As 4ac0c45 kept it: no mark, four texts of each failure. */
static void
test_old(void **state)
{
	static const struct tlsrpt_head head = { "we.example", "tls@we.example", "1", "d.example",
		                                 0 };
	static const char *const texts[] = { "mx.d.example", "192.0.2.1", "certificate-expired",
		                             "why" };
	struct buffer            packed = { 0 }, json = { 0 };
	struct tlsrpt           *t;

	(void)state;
	pack_u32(&packed, 1);
	pack_u8(&packed, TLSRPT_NONE);
	pack_string(&packed, "");
	pack_u64(&packed, 5);
	pack_u64(&packed, 3);
	pack_u32(&packed, 1);
	for (size_t i = 0; i < COUNT(texts); i++)
		pack_string(&packed, texts[i]);
	pack_u64(&packed, 3);
	t = tlsrpt_unpack(buffer_bytes(&packed));
	HOLDS("what was kept before is read", t != NULL);
	tlsrpt_write(t, &head, &json);
	HOLDS("and said",
	      bytes_search(
		      buffer_bytes(&json),
		      BYTES("\"total-successful-session-count\":5,\"total-failure-session-count\":3}")) >
	                      0 &&
	              bytes_search(
			      buffer_bytes(&json),
			      BYTES("\"failure-reason-code\":\"why\",\"failed-session-count\":3}")) >
	                      0);
	packed.len -= 1;
	tlsrpt_close(&t);
	HOLDS("what is broken is not", tlsrpt_unpack(buffer_bytes(&packed)) == NULL);
	buffer_free(&packed);
	buffer_free(&json);
}

UNIT(test_said, test_old)
