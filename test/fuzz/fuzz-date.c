/* Dates: what we write is read back as what it was. */
#include <stdlib.h>

#include "message/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
there_and_back(int64_t seconds, int32_t zone)
{
	char text[32];
	int64_t again;
	int32_t zone_again;

	imap_datetime_text(seconds, zone, text);
	if (!imap_datetime_parse(bytes_of(text), &again, &zone_again))
		abort();
	if (seconds >= 0 && seconds < INT64_C(253000000000) && (again != seconds || zone_again != zone))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };
	int64_t seconds, day;
	int32_t zone;

	if (date_parse(in, &seconds, &zone))
		there_and_back(seconds, zone);
	if (imap_datetime_parse(in, &seconds, &zone))
		there_and_back(seconds, zone);
	(void)imap_date_parse(in, &day);
	return 0;
}
