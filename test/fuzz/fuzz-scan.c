/* What clamd says of a letter, as it comes into the reply, the log and the letter's own fields (role/receiver-scan.c). */
#include <string.h>

#include "base/journal.h"
#include "policy/clamd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "X-Virus-Scanned: Mansio with ClamAV at host\r\nX-Virus-Status: Infected";
	struct bytes      in = { (const char *)data, size }, name, text;
	struct arena     *life = arena_open(NULL);
	struct buffer     fields = { 0 };

	(void)clamd_reply(in, true, &name);
	name = clamd_harmless(name, life);
	INSIDE(name.len <= 200);
	for (size_t i = 0; i < name.len; i++)
		INSIDE(name.at[i] >= ' ' && name.at[i] <= '~' && name.at[i] != '(' && name.at[i] != ')');
	clamd_fields("Mansio", "host", "Infected", name, &fields);
	text = buffer_bytes(&fields);
	INSIDE(bytes_starts(text, bytes_of(head)) && bytes_ends_nocase(text, BYTES("\r\n")));
	INSIDE(text.len == strlen(head) + (name.len > 0 ? name.len + 3 : 0) + 2);
	buffer_free(&fields);
	arena_close(&life);
	return 0;
}
