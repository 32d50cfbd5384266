package service

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// argon2id parameters: OWASP's second recommendation, sized so that a box
// with two cores checks a password in about 50 ms.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	argonKeyLen  = 32
	argonSaltLen = 16

	minPassword = 8
	maxPassword = 128
)

// hashing bounds concurrent hashes, so that a flood of sign-ins cannot
// take the memory of the box.
var hashing = make(chan struct{}, 2)

// hashPassword gives the PHC string of a password.
func hashPassword(password string) string {
	salt := make([]byte, argonSaltLen)
	rand.Read(salt)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(derive(password, salt, argonTime, argonMemory, argonThreads)))
}

func derive(password string, salt []byte, time, memory uint32, threads uint8) []byte {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return argon2.IDKey([]byte(password), salt, time, memory, threads, argonKeyLen)
}

// checkPassword compares a password with a PHC string in constant time.
func checkPassword(password, phc string) bool {
	var version int
	var memory, time uint32
	var threads uint8
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil || memory > 1<<20 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil {
		return false
	}
	return subtle.ConstantTimeCompare(derive(password, salt, time, memory, threads), want) == 1
}

// absent is checked when the account does not exist, so that the answer
// takes as long.
var absent = hashPassword(rand.Text())

// goodPassword applies the rule of the default profile: length, at least
// two kinds of characters, not the user's own name.
func goodPassword(password, username string) bool {
	n := utf8.RuneCountInString(password)
	if n < minPassword || n > maxPassword || strings.Contains(strings.ToLower(password), strings.ToLower(username)) {
		return false
	}
	var digit, letter, other bool
	for _, r := range password {
		switch {
		case r >= '0' && r <= '9':
			digit = true
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			letter = true
		default:
			other = true
		}
	}
	return digit && letter || digit && other || letter && other
}
