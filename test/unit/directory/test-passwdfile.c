/* A passwd-file as Dovecot's documentation has it, and what is none. */
#include "unit.h"

#include "directory/credential.h"
#include "directory/passwdfile.h"

static const char text[] =
	"# users\n"
	"user:{plain}pass:1000:1000::/home/user::userdb_mail=maildir:~/Maildir allow_nets=192.168.0.0/24\n"
	"\n"
	"Jack@Example.com:{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=:::::\n"
	"jill@example.com:$6$a$b:::::: userdb_quota_rule=*:storage=1G nopassword user=JILL\r\n"
	"user:{plain}other\n"
	"tom:{PLAIN}secret::::::domain=sql.org home=/x username=t\n"
	"ann@a.example:{PLAIN}secret::::::username=a domain=sql.org domain=x.example\n"
	"bare:{PLAIN}secret";

static void
test_found(void **state)
{
	static const struct {
		const char *why, *user, *hash, *fields;
	} rows[] = {
		{ "all of it", "user", "{plain}pass",
		  "uid=1000\ngid=1000\nhome=/home/user\nmail=maildir:~/Maildir\nallow_nets=192.168.0.0/24\n" },
		{ "in any case", "jack@EXAMPLE.com", "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "" },
		{ "CRLF, words alone, and colons in a field", "jill@example.com", "$6$a$b",
		  "quota_rule=*:storage=1G\nnopassword=yes\nuser=JILL\n" },
		{ "a line without an end", "bare", "{PLAIN}secret", "" },
		{ "a domain, and a name before it", "tom", "{PLAIN}secret",
		  "home=/x\nuser=t@sql.org\n" },
		{ "another domain; the first of two", "ann@a.example", "{PLAIN}secret",
		  "user=a@sql.org\n" },
		{ "a comment is nobody", "# users", NULL, NULL },
		{ "part of a name is nobody", "jack", NULL, NULL },
		{ "nobody", "", NULL, NULL },
	};
	struct buffer      errors = { 0 }, warnings = { 0 };
	struct arena      *a = arena_open(NULL);
	struct passwdfile *p = passwdfile_open(bytes_of(text), "users", &errors, &warnings);
	struct bytes       hash, fields;
	(void)state;

	HOLDS("it is good", p != NULL);
	SAME("without complaint", buffer_bytes(&errors), BYTES(""));
	SAME("nopassword beside a hash, and twice, are warned of", buffer_bytes(&warnings),
	     BYTES("users:5: jill@example.com has a password and nopassword: the password holds; right would be nothing between the first two colons, or no nopassword\n"
	           "users:6: user stands above already; the first line holds\n"));
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool found = passwdfile_find(p, bytes_of(rows[i].user), a, &hash, &fields);
		HOLDS(rows[i].why, found == (rows[i].hash != NULL));
		if (!found)
			continue;
		SAME(rows[i].why, hash, bytes_of(rows[i].hash));
		SAME(rows[i].why, fields, bytes_of(rows[i].fields));
	}
	passwdfile_close(&p);
	buffer_free(&errors);
	buffer_free(&warnings);
	arena_close(&a);
}

static void
test_refused(void **state)
{
	struct buffer      errors = { 0 }, warnings = { 0 };
	struct passwdfile *p =
		passwdfile_open(BYTES("a:b\nc\n:d\ne\0:f\n"), "users", &errors, &warnings);
	(void)state;

	HOLDS("none of it is taken", p == NULL);
	HOLDS("the line is named",
	      bytes_search(buffer_bytes(&errors), BYTES("users:2: write")) == 0);
	HOLDS("each of them", bytes_search(buffer_bytes(&errors), BYTES("users:3: ")) > 0 &&
	                              bytes_search(buffer_bytes(&errors), BYTES("users:4: ")) > 0);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
test_backends(void **state)
{
	static const struct {
		const char          *word;
		enum credential_kind kind;
		const char          *argument;
	} rows[] = {
		{ "directory", CREDENTIAL_DIRECTORY, "" },
		{ "pam", CREDENTIAL_PAM, "mansio" },
		{ "pam:dovecot", CREDENTIAL_PAM, "dovecot" },
		{ "passwd-file:/etc/users", CREDENTIAL_PASSWD_FILE, "/etc/users" },
		{ "saslauthd:/run/saslauthd/mux", CREDENTIAL_SASLAUTHD, "/run/saslauthd/mux" },
		{ "example.com=pam:dovecot", CREDENTIAL_PAM, "dovecot" },
		{ "example.com=directory", CREDENTIAL_DIRECTORY, "" },
		{ "sql:/etc/a=b.cf", CREDENTIAL_SQL, "/etc/a=b.cf" },
		{ "=pam", CREDENTIAL_KINDS, NULL },
		{ "pam:", CREDENTIAL_KINDS, NULL },
		{ "pam:../passwd", CREDENTIAL_KINDS, NULL },
		{ "directory:/x", CREDENTIAL_KINDS, NULL },
		{ "sql", CREDENTIAL_KINDS, NULL },
		{ "ldap:relative.cf", CREDENTIAL_KINDS, NULL },
		{ "shadow", CREDENTIAL_KINDS, NULL },
		{ "", CREDENTIAL_KINDS, NULL },
	};
	struct credential_backend b;
	struct bytes              value;
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool good = credential_backend_parse(rows[i].word, &b) == NULL;
		HOLDS(rows[i].word, good == (rows[i].argument != NULL));
		if (!good)
			continue;
		HOLDS(rows[i].word, b.kind == rows[i].kind);
		SAME(rows[i].word, bytes_of(b.argument), bytes_of(rows[i].argument));
	}
	HOLDS("of a domain", credential_backend_parse("Example.com=pam", &b) == NULL);
	HOLDS("its users", credential_backend_asks(&b, BYTES("jack@example.COM"), "x.example"));
	HOLDS("no others", !credential_backend_asks(&b, BYTES("jack@example.net"), "example.com"));
	HOLDS("the origin's", credential_backend_asks(&b, BYTES("jack"), "example.com") &&
	                              !credential_backend_asks(&b, BYTES("jack"), "x.example"));
	HOLDS("a field", credential_field(BYTES("home=/x\nmail=y\n"), "mail", &value));
	SAME("its value", value, BYTES("y"));
	HOLDS("no half of a name", !credential_field(BYTES("email=y\nmailx=z\n"), "mail", &value));
}

UNIT(test_found, test_refused, test_backends)
