/* The client of SASL: what it answers in the examples of the RFCs, and which mechanism it takes. */
#include "unit.h"

#include <string.h>

#include "base/base64.h"
#include "sasl/supplicant.h"

#define ALL_OFFERED \
	"LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER ANONYMOUS NTLM"

/* What the server says and what we say to it, by turns; "!" where there is no answer. */
static const struct {
	const char *why, *mechanism, *user, *password, *nonce, *binding, *bound;
	const char *turns[6];
	bool        content;
} talks[] = {
	{ "rfc4616:4",
	  "PLAIN",
	  "tim",
	  "tanstaaftanstaaf",
	  NULL,
	  NULL,
	  NULL,
	  { NULL, "|tim|tanstaaftanstaaf" },
	  true },
	{ "rfc2195:2",
	  "CRAM-MD5",
	  "tim",
	  "tanstaaftanstaaf",
	  NULL,
	  NULL,
	  NULL,
	  { NULL, "", "<1896.697170952@postoffice.reston.mci.net>",
	    "tim b913a602c7eda7a495b4e6e7334d3890" },
	  true },
	{ "rfc5802:5",
	  "SCRAM-SHA-1",
	  "user",
	  "pencil",
	  "fyko+d2lbbFgONRv9qkxdawL",
	  NULL,
	  NULL,
	  { NULL, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "" },
	  true },
	{ "rfc7677:3",
	  "SCRAM-SHA-256",
	  "user",
	  "pencil",
	  "rOprNGfwEbeRWgbNEkqO",
	  NULL,
	  NULL,
	  { NULL, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
	    "i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "" },
	  true },
	{ "rfc5802:3 a server that does not know the password is found out",
	  "SCRAM-SHA-1",
	  "user",
	  "pencil",
	  "fyko+d2lbbFgONRv9qkxdawL",
	  NULL,
	  NULL,
	  { NULL, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	    "v=AAAApqV8S7suAoZWja4dJRkFsKQ=", "!" },
	  false },
	{ "rfc5802:5.1 the nonce is not ours",
	  "SCRAM-SHA-1",
	  "user",
	  "pencil",
	  "fyko+d2lbbFgONRv9qkxdawL",
	  NULL,
	  NULL,
	  { NULL, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=other3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096", "!" },
	  false },
	{ "rfc5802:5.1 too few rounds keep no password",
	  "SCRAM-SHA-1",
	  "user",
	  "pencil",
	  "f",
	  NULL,
	  NULL,
	  { NULL, "n,,n=user,r=f", "r=fx,s=QSXCR+Q6sek8bf92,i=1", "!" },
	  false },
	{ "and too many keep us busy",
	  "SCRAM-SHA-1",
	  "user",
	  "pencil",
	  "f",
	  NULL,
	  NULL,
	  { NULL, "n,,n=user,r=f", "r=fx,s=QSXCR+Q6sek8bf92,i=4294967295", "!" },
	  false },
	{ "rfc5802:5.1 an extension that must be known",
	  "SCRAM-SHA-1",
	  "user",
	  "pencil",
	  "f",
	  NULL,
	  NULL,
	  { NULL, "n,,n=user,r=f", "m=x,r=fx,s=QSXCR+Q6sek8bf92,i=4096", "!" },
	  false },
	{ "rfc5802:6 it could bind the channel, and was not offered that",
	  "SCRAM-SHA-1",
	  "us,=er",
	  "pencil",
	  "f",
	  "tls-exporter",
	  "x",
	  { NULL, "y,,n=us=2C=3Der,r=f" },
	  false },
	{ "rfc5802:6 it binds it",
	  "SCRAM-SHA-1-PLUS",
	  "user",
	  "pencil",
	  "f",
	  "tls-exporter",
	  "x",
	  { NULL, "p=tls-exporter,,n=user,r=f" },
	  false },
	{ "rfc7628:4.1",
	  "OAUTHBEARER",
	  "user@example.com",
	  "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
	  NULL,
	  NULL,
	  NULL,
	  { NULL,
	    "n,a=user@example.com,\001host=server.example.com\001port=143\001"
	    "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001",
	    "{\"status\":\"invalid_token\"}", "\001" },
	  true },
	{ "Google's, of their description",
	  "XOAUTH2",
	  "someuser@example.com",
	  "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
	  NULL,
	  NULL,
	  NULL,
	  { NULL,
	    "user=someuser@example.com\001auth=Bearer "
	    "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\001\001",
	    "{\"status\":\"401\"}", "" },
	  true },
	{ "LOGIN asks in words of its own, twice and no more",
	  "LOGIN",
	  "tim",
	  "tanstaaf",
	  NULL,
	  NULL,
	  NULL,
	  { NULL, "", "Username:", "tim", "Password:", "tanstaaf" },
	  true },
};

static void
test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(talks); i++) {
		const char             *named[] = { talks[i].mechanism };
		struct setting_list     filter = { named, 1 };
		struct supplicant_facts facts = {
			talks[i].user,
			talks[i].password,
			"server.example.com",
			143,
			&filter,
			0,
			0,
			talks[i].binding,
			bytes_of(talks[i].bound != NULL ? talks[i].bound : ""),
			talks[i].nonce,
		};
		struct arena      *life = arena_open(NULL);
		struct supplicant *c = supplicant_open(bytes_of(talks[i].mechanism), &facts, life);
		struct buffer      said = { 0 };

		if (facts.binding != NULL)
			filter = (struct setting_list){ NULL, 0 };
		if (facts.binding != NULL)
			c = supplicant_open(bytes_of(talks[i].mechanism), &facts, life);
		HOLDS(talks[i].why, c != NULL);
		for (int t = 0; t < 6 && talks[i].turns[t + 1] != NULL; t += 2) {
			const char *from = talks[i].turns[t], *to = talks[i].turns[t + 1];
			bool        good;

			buffer_reset(&said);
			good = from != NULL ? supplicant_answer(c, bytes_of(from), &said)
			                    : supplicant_first(c, &said) || *to == '\0';
			for (size_t k = 0; k < said.len; k++)
				if (said.at[k] == '\0')
					said.at[k] = '|';
			if (strcmp(to, "!") == 0)
				HOLDS(talks[i].why, !good);
			else
				SAME(talks[i].why, good ? buffer_bytes(&said) : BYTES("none"),
				     bytes_of(to));
			if (t == 4)
				break;
		}
		HOLDS(talks[i].why, supplicant_content(c) == talks[i].content);
		buffer_free(&said);
		arena_close(&life);
	}
}

static const struct {
	const char *why, *offered, *filter[3];
	unsigned    demands;
	bool        binds;
	const char *taken; /* one after another, by blanks */
} choices[] = {
	{ "the best first; tokens and strangers are for nobody",
	  ALL_OFFERED,
	  { NULL },
	  0,
	  false,
	  "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN " },
	{ "what binds the channel only where there is one",
	  "SCRAM-SHA-1-PLUS SCRAM-SHA-1",
	  { NULL },
	  0,
	  true,
	  "SCRAM-SHA-1-PLUS SCRAM-SHA-1 " },
	{ "and not outside TLS",
	  "SCRAM-SHA-1-PLUS SCRAM-SHA-1",
	  { NULL },
	  0,
	  false,
	  "SCRAM-SHA-1 " },
	{ "noplaintext",
	  ALL_OFFERED,
	  { NULL },
	  SUPPLICANT_NO_PLAINTEXT,
	  false,
	  "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 " },
	{ "noactive",
	  ALL_OFFERED,
	  { NULL },
	  SUPPLICANT_NO_ACTIVE,
	  false,
	  "SCRAM-SHA-256 SCRAM-SHA-1 " },
	{ "mutual_auth",
	  ALL_OFFERED,
	  { NULL },
	  SUPPLICANT_MUTUAL,
	  false,
	  "SCRAM-SHA-256 SCRAM-SHA-1 " },
	{ "nodictionary leaves none of those with passwords",
	  ALL_OFFERED,
	  { NULL },
	  SUPPLICANT_NO_DICTIONARY,
	  false,
	  "" },
	{ "R273 what the filter names",
	  ALL_OFFERED,
	  { "plain", "login" },
	  0,
	  false,
	  "PLAIN LOGIN " },
	{ "R273 what it denies",
	  ALL_OFFERED,
	  { "!scram-sha-256", "!cram-md5", "static:rest" },
	  0,
	  false,
	  "SCRAM-SHA-1 PLAIN LOGIN " },
	{ "a token where it is named",
	  ALL_OFFERED,
	  { "xoauth2", "oauthbearer" },
	  0,
	  false,
	  "OAUTHBEARER XOAUTH2 " },
	{ "R273 ANONYMOUS never", "ANONYMOUS", { "anonymous" }, 0, false, "" },
};

static void
test_choices(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(choices); i++) {
		struct setting_list     filter = { (const char *const *)choices[i].filter, 0 };
		struct supplicant_facts facts = { .user = "u",
			                          .password = "p",
			                          .host = "h",
			                          .filter = &filter,
			                          .demands = choices[i].demands,
			                          .binding = choices[i].binds ? "tls-exporter"
			                                                      : NULL };
		struct arena           *life = arena_open(NULL);
		struct buffer           taken = { 0 };
		struct supplicant      *c;

		while (filter.count < 3 && choices[i].filter[filter.count] != NULL)
			filter.count++;
		while ((c = supplicant_open(bytes_of(choices[i].offered), &facts, life)) != NULL) {
			buffer_printf(&taken, "%s ", supplicant_name(c));
			facts.tried |= supplicant_bit(c);
		}
		SAME(choices[i].why, buffer_bytes(&taken), bytes_of(choices[i].taken));
		buffer_free(&taken);
		arena_close(&life);
	}
}

UNIT(test_examples, test_choices)
