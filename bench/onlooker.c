// SPDX-License-Identifier: ISC
//
// onlooker: a mail filter on libmilter that is shown everything and changes
// nothing, as `bench/run smtp` has it on both sides.
//
//     onlooker SOCKET          inet:PORT@127.0.0.1 or unix:PATH

#include <libmilter/mfapi.h>
#include <stdio.h>

static sfsistat
on_connect(SMFICTX *c, char *host, _SOCK_ADDR *address)
{
	(void)c, (void)host, (void)address;
	return SMFIS_CONTINUE;
}

static sfsistat
on_helo(SMFICTX *c, char *name)
{
	(void)c, (void)name;
	return SMFIS_CONTINUE;
}

static sfsistat
on_address(SMFICTX *c, char **words)
{
	(void)c, (void)words;
	return SMFIS_CONTINUE;
}

static sfsistat
on_header(SMFICTX *c, char *name, char *value)
{
	(void)c, (void)name, (void)value;
	return SMFIS_CONTINUE;
}

static sfsistat
on_body(SMFICTX *c, unsigned char *part, size_t n)
{
	(void)c, (void)part, (void)n;
	return SMFIS_CONTINUE;
}

static sfsistat
on_step(SMFICTX *c)
{
	(void)c;
	return SMFIS_CONTINUE;
}

int
main(int count, char **words)
{
	static struct smfiDesc card = {
		.xxfi_name = "onlooker",
		.xxfi_version = SMFI_VERSION,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_address,
		.xxfi_envrcpt = on_address,
		.xxfi_header = on_header,
		.xxfi_eoh = on_step,
		.xxfi_body = on_body,
		.xxfi_eom = on_step,
	};

	if (count != 2 || smfi_setconn(words[1]) != MI_SUCCESS ||
	    smfi_register(card) != MI_SUCCESS) {
		fprintf(stderr, "usage: onlooker SOCKET\n");
		return 2;
	}
	smfi_setbacklog(512);
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
