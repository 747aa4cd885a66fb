/*
 * characters -- message_reject_characters: bytes no letter may have
 *
 * characters_parse()  the bytes such a text names: each as it is, or as C writes it (\a \b \f \n \r \t \v \\, or one to
 *     three octal digits, as \0).  How many they are; *wrong, unless well, says what cannot be read.
 */
#ifndef SMTP_RECEIVER_CHARACTERS_H
#define SMTP_RECEIVER_CHARACTERS_H

#include <stddef.h>

enum { CHARACTERS_MOST = 256 };
size_t characters_parse(const char *text, char out[static CHARACTERS_MOST], const char **wrong);

#endif
