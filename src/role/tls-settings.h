/*
 * tls-settings -- what an administrator may say of TLS, for all listeners or for one
 *
 * From:     settings (the check), estate (which files there are), receiver and login (house_tls())
 *
 * tls_rows_fill()    the rows of one listener (its name, or NULL).
 * tls_settings_of()  what tls_open() wants of them, without certificates; `mandatory`: nothing goes on without TLS
 *     there, so what smtpd_tls_mandatory_... say holds.  In the arena.  False with what is wrong in *errors.
 * tls_settings_check() every listener's, tried with OpenSSL: "main.cf: smtpd_tls_...: what is wrong".
 * tls_chains_of()    which files a listener's certificates are in, in the order they are tried: first those for everybody,
 *     then those for one name, then those for the names they have.  It reads the tables of tls_server_sni_maps and looks
 *     into tls_certificate_directories, and adds what the certifier got; false with words in *errors.
 * tls_client_chains() the same of what a transport shows to hosts that ask.
 */
#ifndef ROLE_TLS_SETTINGS_H
#define ROLE_TLS_SETTINGS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/setting.h"
#include "channel/tls.h"
#include "smtp/sender/settings.h"

enum tls_grade { GRADE_EXPORT, GRADE_LOW, GRADE_MEDIUM, GRADE_HIGH, GRADE_NULL };
struct tls_rows {
	const char *cert_file, *key_file, *eccert_file, *eckey_file;
	struct setting_list chain_files, sni_maps, directories;
	const char *protocols, *mandatory_protocols;
	int         ciphers, mandatory_ciphers;        /* enum tls_grade */
	const char *exclude, *mandatory_exclude, *high, *medium;
	bool        preempt;
	const char *curves;
	struct setting_list options;
	bool        ask, require;
	const char *authorities, *authorities_path;
	int64_t     depth, ticket_ms;
	const char *digest;
};
extern const struct setting_table tls_setting_table;

bool tls_settings_of(const struct tls_rows *, bool mandatory, struct arena *, struct tls_settings *out, struct buffer *errors);
bool tls_settings_check(struct settings *, struct buffer *errors, struct buffer *warnings);

enum chain_use { CHAIN_ALL, CHAIN_NAME, CHAIN_MORE };
/* A chain, in one file or put together of several; its key may be in another. */
struct tls_chain { enum chain_use use; const char *name, *files, *keys; };      /* paths by TAB; name "" but for CHAIN_NAME */
struct tls_chains { struct tls_chain *chain; size_t count; };
bool tls_chains_of(struct settings *, const struct tls_rows *, struct arena *, struct tls_chains *out, struct buffer *errors);
void tls_client_chains(const struct sender_settings *, struct arena *, struct tls_chains *out);

#endif
