#include "role/bindable.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "channel/peer.h"

bool
bindable_read(struct bytes word, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in  *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;
	struct network       n;
	const char          *wrong;
	char                 text[64];

	if (word.len > 0 && word.at[0] != '[' && bytes_find(word, ':') >= 0)
		(void)snprintf(text, sizeof text, "[%.*s]", (int)word.len, word.at);
	else if (!bytes_string(word, text, sizeof text))
		return false;
	if (!network_parse(bytes_of(text), &n, &wrong) ||
	    n.bits != (n.family == AF_INET ? 32 : 128))
		return false;
	*out = (struct sockaddr_storage){ .ss_family = (sa_family_t)n.family };
	if (n.family == AF_INET) {
		memcpy(&v4->sin_addr, n.raw, sizeof v4->sin_addr);
		*len = sizeof *v4;
	} else {
		memcpy(&v6->sin6_addr, n.raw, sizeof v6->sin6_addr);
		*len = sizeof *v6;
	}
	return true;
}

/* Where nobody may say now, as without IPv6, it is taken to be. */
static bool
is_of_this_machine(const struct sockaddr_storage *at, socklen_t len)
{
	int  fd = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is =
		fd < 0 || bind(fd, (const struct sockaddr *)at, len) == 0 || errno != EADDRNOTAVAIL;

	if (fd >= 0)
		(void)close(fd);
	return is;
}

const char *
bindable_fault(struct bytes words, struct arena *a)
{
	struct sockaddr_storage at;
	struct bytes            word;
	socklen_t               len;

	while (bytes_split(&words, ' ', &word)) {
		word = bytes_trim(word);
		if (word.len == 0)
			continue;
		if (!bindable_read(word, &at, &len))
			return arena_printf(
				a,
				"%.*s is no address: write one of this machine, as 192.0.2.1 or 2001:db8::1",
				(int)word.len, word.at);
		if (!is_of_this_machine(&at, len))
			return arena_printf(
				a,
				"%.*s is no address of this machine: no connection can come from it",
				(int)word.len, word.at);
	}
	return NULL;
}
