/*
 * digest-print -- the digest of each file named, for the scripts beside this
 *
 * For each file:  NAME LENGTH newline, then LENGTH bytes: the envelope, the
 * bodystructure, the body, the sent date, from_addr, the decoded subject, the
 * preview, and the parts, each followed by a NUL.
 */
#include <stdio.h>
#include <stdlib.h>

#include "message/digest.h"

static void
print(const char *name, struct bytes content)
{
	struct arena *a = arena_open(NULL);
	struct buffer packed = { 0 }, out = { 0 };
	struct digest d;

	digest_make(content, a, &packed);
	if (!digest_view(buffer_bytes(&packed), &d))
		abort();
	buffer_add(&out, d.envelope);
	buffer_add_char(&out, '\0');
	buffer_add(&out, d.bodystructure);
	buffer_add_char(&out, '\0');
	buffer_add(&out, d.body);
	buffer_printf(&out, "%c%lld %d%c", '\0', (long long)d.sent, (int)d.sent_zone, '\0');
	buffer_add(&out, d.from_addr);
	buffer_add_char(&out, '\0');
	buffer_add(&out, d.subject);
	buffer_add_char(&out, '\0');
	buffer_add(&out, d.preview);
	buffer_add_char(&out, '\0');
	for (uint32_t i = 0; i < d.parts; i++) {
		struct digest_part p = digest_part_at(&d, i);

		buffer_printf(&out, "%u %u %llu %llu %llu %llu %u %u %u\n", (unsigned)p.parent,
		              (unsigned)p.number, (unsigned long long)p.header_at,
		              (unsigned long long)p.header_len, (unsigned long long)p.body_at,
		              (unsigned long long)p.body_len, (unsigned)p.lines, (unsigned)p.kind,
		              (unsigned)p.encoding);
	}
	buffer_add_char(&out, '\0');
	printf("%s %zu\n", name, out.len);
	fwrite(out.at, 1, out.len, stdout);
	buffer_free(&out);
	buffer_free(&packed);
	arena_close(&a);
}

int
main(int count, char **names)
{
	for (int i = 1; i < count; i++) {
		FILE *f = fopen(names[i], "rb");
		struct buffer b = { 0 };
		size_t n;

		if (f == NULL) {
			perror(names[i]);
			return 1;
		}
		while ((n = fread(buffer_room(&b, 65536), 1, 65536, f)) > 0)
			buffer_took(&b, n);
		fclose(f);
		print(names[i], buffer_bytes(&b));
		buffer_free(&b);
	}
	return 0;
}
