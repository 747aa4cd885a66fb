/* The words of a query: whatever they are, what goes to the server is one line of text, and literals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
check_line(struct bytes text)
{
	int depth = 0;

	for (size_t i = 0; i < text.len; i++) {
		char *end;
		if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == '\0')
			abort();
		if (text.at[i] == '"')
			while (++i < text.len && text.at[i] != '"')
				if ((unsigned char)text.at[i] < ' ' || text.at[i] == '\\')
					abort();
		if (text.at[i] == '{') {
			size_t n = strtoul(text.at + i + 1, &end, 10);
			if (strncmp(end, "+}\r\n", 4) != 0)
				abort();
			i = (size_t)(end - text.at) + 3 + n;
		}
		depth += text.at[i] == '(' ? 1 : text.at[i] == ')' ? -1 : 0;
	}
	(void)depth;
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	char *text = malloc(len + 2), *argv[1] = { text };
	struct client *c = client_over(-1);
	struct query q;

	if (text == NULL)
		return 0;
	memcpy(text, at, len);
	text[len] = ' ';
	text[len + 1] = '\0';
	if (query_read(&q, 1, argv)) {
		query_write(&q, c, "INBOX", "F1");
		check_line(buffer_bytes(client_out(c)));
		(void)query_wants(&q, "Lists/a", "F2");
		query_close(&q);
	}
	client_close(&c);
	free(text);
	return 0;
}
