/* Answers of name servers, to every question. */
#include <stdlib.h>

#include "dns/answer.h"
#include "dns/hostname.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	static const uint16_t types[] = { DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_SRV, DNS_TLSA };
	struct bytes   packet = { (const char *)at, len };
	struct arena  *life = arena_open(NULL);
	struct buffer  text = { 0 };
	struct answer  a;

	for (size_t t = 0; t < COUNT(types); t++) {
		if (!answer_parse(packet, BYTES("www.example.com"), types[t], life, &a) && a.records > 0)
			abort();
		for (size_t i = 0; i < a.records; i++) {
			(void)hostname_valid(a.record[i].name);
			if (!answer_strings(&a.record[i], &text))
				buffer_reset(&text);
		}
	}
	(void)hostname_text(packet, &text);
	buffer_free(&text);
	arena_close(&life);
	return 0;
}
