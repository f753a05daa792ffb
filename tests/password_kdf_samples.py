"""Stored passwords as libraries write them, and what must not be taken for one.

Made with Django 5.2, passlib 1.7.4, argon2-cffi 25.1, bcrypt 4.0 and werkzeug 3.1, all of one made-up password.
"""

from tests.password_kdf_oracle import Reading

GENUINE: list[tuple[str, Reading]] = [
    (
        "pbkdf2_sha256$390000$UIRFvPrkYLyOohKvL6fkKX$rjP7WKHcBh+FHrUjamj/x5ch+H95Ffo26rX/lDKIjaI=",
        ("django", "pbkdf2_sha256", {"iterations": 390000}, 256, True),
    ),
    (
        "pbkdf2_sha256$1000000$mLFRoQ2j13tnc0xv7hDufG$6iH7lCMAEkfdY2u54/IDZqz7dh8+dX7OeBN7yVxH/6Y=",
        ("django", "pbkdf2_sha256", {"iterations": 1000000}, 256, True),
    ),
    (
        "pbkdf2_sha1$1000000$qKqvC6e95v0oiBOKvK2ABg$Xttg3Sx/G4mvfpUL8eCYjwvYz1A=",
        ("django", "pbkdf2_sha1", {"iterations": 1000000}, 160, True),
    ),
    (
        (
            "argon2$argon2id$v=19$m=102400,t=2,p=8$Y0xjUVRManl0RkFIZTk0QXJkR1lqaQ$xsa68t0V7glsQrxAq7Sam"
            "nF6vMc+keScJl5vVVFQBwI"
        ),
        ("django", "argon2id", {"memory_kib": 102400, "iterations": 2, "parallelism": 8}, 256, True),
    ),
    (
        "bcrypt_sha256$$2b$12$wopZuXchc3Bn2bLZW8NbzO2UL34qzrNyRka3mzTUTlBpW/04gYYYG",
        ("django", "bcrypt_sha256", {"log2_rounds": 12}, 184, True),
    ),
    (
        "bcrypt$$2b$12$l53QmoucUVUrbtjK9stYrOqwxwCq0cFGaiHt4Ui97kYm6iQIEJ9MW",
        ("django", "bcrypt", {"log2_rounds": 12}, 184, True),
    ),
    (
        (
            "scrypt$16384$x8KA0w7cC1I0mloqwso7Kh$8$5$j8Xck5gN3qaNTMhXl623SZC+nYr5/zkoYdHnail+OBKW0qkKsu"
            "8DvN7cftvl8z3LD3a86fqrbrT9M0+oa9Fc4w=="
        ),
        ("django", "scrypt", {"n": 16384, "r": 8, "p": 5}, 512, True),
    ),
    ("md5$JowmNBwwq9n2WSo4wkQjae$ca1e46662ad7ce56966d07e93224b2c8", ("django", "django_md5", None, 128, True)),
    ("!A7ipOaoXrxfVP9ZE3yAeRAtToA8y1MdLeQYfPM6o", ("django", "unusable", None, None, None)),
    ("sha1$Zq81kfUQ$f2f136187e7467a08a0ec764d2b9ea7b85620a18", ("django", "django_sha1", None, 160, True)),
    ("sha1$$98decc62ece399a22ed30d490ef333be7fde7385", ("django", "django_sha1", None, 160, False)),
    (
        "$argon2id$v=19$m=65536,t=3,p=4$UaQap6rNxvEvMrYDz/gb5g$qrL0yEf6LzK7XM86vZb7YpIZPKMxBdJqwZ/oegCvLv8",
        ("phc", "argon2id", {"memory_kib": 65536, "iterations": 3, "parallelism": 4}, 256, True),
    ),
    (
        "$argon2i$v=19$m=19456,t=2,p=1$cOmgdLzbN2PYtEmMmf3duw$/gCfI75rHqVH/1NPGxhMnWcIOUYXKxl1kmpi/X0roKQ",
        ("phc", "argon2i", {"memory_kib": 19456, "iterations": 2, "parallelism": 1}, 256, True),
    ),
    (
        "$argon2d$v=19$m=19456,t=2,p=1$deGnXij3hOYzVSuflb7ZzA$La6c0QuSzhahOQPixeJBTA",
        ("phc", "argon2d", {"memory_kib": 19456, "iterations": 2, "parallelism": 1}, 128, True),
    ),
    (
        "$2b$12$2b7zOPbWM0J4MiSVzll9COdP.SlxEOpJAVLa1PkkDCmdut4OFlmd2",
        ("crypt", "bcrypt", {"log2_rounds": 12}, 184, True),
    ),
    (
        "$2a$08$uznaI/m4pqHrlDACk8Ky6OOHSSYEtBn9hp/0pwzXwPiSzlGucxd5e",
        ("crypt", "bcrypt", {"log2_rounds": 8}, 184, True),
    ),
    (
        "$pbkdf2$131000$RkgpRUipNYYQIoSwNibE2A$UCd2BcWmcCsmm7TYGL13b.mb4Kg",
        ("passlib", "pbkdf2_sha1", {"iterations": 131000}, 160, True),
    ),
    (
        "$pbkdf2-sha256$390000$sVYq5ZwzZkyplVKKcW4NoQ$Ne3NJF8yUybnC70nDJACcvNGaCJ1gEXL5IV2AApbNcM",
        ("passlib", "pbkdf2_sha256", {"iterations": 390000}, 256, True),
    ),
    (
        (
            "$pbkdf2-sha512$25000$c25tjRGitPae8x7jHIPwHg$8jMQzlERGT1N4IEMudBQLfnJIfM5n1K1cykmSa60PjRa3c"
            "miAMHAcLvKOZLnJ6az7MNyKSZhxhBN5BwY/PGhMA"
        ),
        ("passlib", "pbkdf2_sha512", {"iterations": 25000}, 512, True),
    ),
    (
        "{PBKDF2}131000$Yowx5lxrjfHe.79XilGq9Q$CPs3n9.aoBUvziLDJfjUvgU7d9M",
        ("ldap", "pbkdf2_sha1", {"iterations": 131000}, 160, True),
    ),
    (
        "{PBKDF2-SHA256}29000$fW.NsbZ2rpVyDsGY8x7DWA$2NbHO0LWGzWXPfKKdjKv73RboENfgRPuFx7xOBw87gU",
        ("ldap", "pbkdf2_sha256", {"iterations": 29000}, 256, True),
    ),
    (
        (
            "{PBKDF2-SHA512}25000$YwwBgJDy/l8LgXDOOYcQAg$ytz0/.LK2nZv/IPd2eLJDLdR7uJu1V1l/lWBM6iyMTO1A8"
            "ODt33hHT3XBnp9QI6KtgWR/uWGlB49Ai.IWgsqyQ"
        ),
        ("ldap", "pbkdf2_sha512", {"iterations": 25000}, 512, True),
    ),
    (
        "$scrypt$ln=14,r=8,p=1$HMOYs/a+13pP6d1bizGmdA$jqggIofmzq6CnzTRf1hX2vEpD0INPLzVcJHWU7ngFVo",
        ("passlib", "scrypt", {"n": 16384, "r": 8, "p": 1}, 256, True),
    ),
    (
        "$5$rounds=535000$v7d0RIdAnRgrQDEF$gj8Fv.L2eMGB/M90OzMolWG5CgDXZShrz.8PAHZPmJ9",
        ("crypt", "sha256_crypt", {"iterations": 535000}, 256, True),
    ),
    (
        (
            "$6$rounds=656000$LsOJ09Ius1OdPrNK$nC9FbvliK8NLSXlv51QVLRc551EZrbt3LfAPP0MEYnsRxzcVHBvF/NcO"
            "BOZqGmgEOhbN1w1VBJVNm.YCi/ew/1"
        ),
        ("crypt", "sha512_crypt", {"iterations": 656000}, 512, True),
    ),
    ("$1$dV9HNAEm$ybcbAU9.dOg4PrX.myNuF/", ("crypt", "md5_crypt", None, 128, True)),
    ("$P$H5vUKUVltDgNjziIi1BrsOD2Vab4vX1", ("crypt", "phpass", {"log2_rounds": 19}, 128, True)),
    ("$H$HjXnAz7Q8BCFL6IQzeowEM.qkPfoc11", ("crypt", "phpass", {"log2_rounds": 19}, 128, True)),
    (
        "$bcrypt-sha256$v=2,t=2b,r=12$Ji/jWatSMDeOaSfP5SnwHO$ZXuSdf6qrQa8e29Eb6XStVc3o/mOzTC",
        ("passlib", "bcrypt_sha256", {"log2_rounds": 12}, 184, True),
    ),
    (
        "$bcrypt-sha256$2b,12$VuchCawe4DPfq2Imvw0nsO$QyoAENVkGVGKSIumT3i7eyoxoBmIGxO",
        ("passlib", "bcrypt_sha256", {"log2_rounds": 12}, 184, True),
    ),
    (
        "pbkdf2_sha256$29000$XxiGKoS8CNt4$GcZoVzIz7L5OdwMU2qLWQxURLFU5UaldIdPFOapmrUY=",
        ("django", "pbkdf2_sha256", {"iterations": 29000}, 256, True),
    ),
    (
        "$6$XocMOeHTSoCV9/9U$EncjPX9YWGmchWBus9T.eJ3nKAMoK2k6/XnGLBCs9hNJ7eUZICs2T78GHwn5JsrPJkY2HEhSEgyS3zS7kdCQS.",
        ("crypt", "sha512_crypt", {"iterations": 5000}, 512, True),
    ),
    (
        "$5$cM8i0FxBPjV3gygA$fvxgWjU5yIbLeZBRPD8pU7Ui221njs5DLQ7qsO6fsh1",
        ("crypt", "sha256_crypt", {"iterations": 5000}, 256, True),
    ),
    (
        "$pbkdf2-sha256$29000$$53kh/E4G9AVs7epF5aUncJmbReJfc2AnqjEmgtyp4CQ",
        ("passlib", "pbkdf2_sha256", {"iterations": 29000}, 256, False),
    ),
    (
        "$scrypt$ln=14,r=8,p=1$$Q68aE+0Pv9oDCg65f8cI9uSFLdvQJBuKs+t87e69ztA",
        ("passlib", "scrypt", {"n": 16384, "r": 8, "p": 1}, 256, False),
    ),
    (
        (
            "scrypt:32768:8:1$pCb1fO4ZCOXlNNpP$5ebc640a1b1183d220d0a8a74e6f30a42680385352c82ede7bb418da"
            "d001d94870d43335ebcaa8d575fdb965da434119444e868e18b17fbab2b9e51fdab89023"
        ),
        ("werkzeug", "scrypt", {"n": 32768, "r": 8, "p": 1}, 512, True),
    ),
    (
        "pbkdf2:sha256:1000000$m4AxwRYcc3tAykpZ$403b214875e150f0ac16ea8e6e666a440c1c8b4e8afe921b3f47dfd978ee0e58",
        ("werkzeug", "pbkdf2_sha256", {"iterations": 1000000}, 256, True),
    ),
    (
        "pbkdf2:sha1:600000$Ne0QgMxIsoznp6Z4$325bb43bdbad71926cd3a00e80d074582d378844",
        ("werkzeug", "pbkdf2_sha1", {"iterations": 600000}, 160, True),
    ),
    (
        (
            "pbkdf2:sha512:210000$XQgmXr4fOA0LEBUD$8f18ed559f85f11e140f3ad4a86c072c383dbdc23a3cf3485a5f"
            "a40c253db91457ad711f3e5e13e185fec5c8eea8e0ecdfbceb26938dbde238533d2f97b0306d"
        ),
        ("werkzeug", "pbkdf2_sha512", {"iterations": 210000}, 512, True),
    ),
    ("88e4ddd2402d92d50e1879d6ecd9ffd4", ("hex", "md5_hex", None, 128, False)),
    ("98decc62ece399a22ed30d490ef333be7fde7385", ("hex", "sha1_hex", None, 160, False)),
    ("9028ea0d15decaa35b2da21c0290af3b1a5ba0a30a591906f89b5074e209ea72", ("hex", "sha256_hex", None, 256, False)),
]
"""Every encoding that must be recognised, with what it must be recognised as."""

DIGEST = "QudHgi3jz5eqQvJtJ0rHqD2mO5wdpGfWb1uOJ2iY3nA="
SALT = "Jw2CkpFvbpkpTM0TqFvvzd"
DJANGO = f"pbkdf2_sha256$390000${SALT}${DIGEST}"
ARGON2_TAIL = "zjS9ockIMYlwinuck6Pxtg$T2PQg5CaQvijQnCAgADzW7cn6xM1P0CrGk0f/HJ4JVU"
ARGON2 = f"$argon2id$v=19$m=65536,t=3,p=4${ARGON2_TAIL}"
BCRYPT = "$2b$12$2b7zOPbWM0J4MiSVzll9COdP.SlxEOpJAVLa1PkkDCmdut4OFlmd2"
SCRYPT_TAIL = "$8$5$" + "A" * 86 + "=="

WEAK: list[tuple[str | None, Reading]] = [
    (None, ("none", "null", None, None, None)),
    ("", ("none", "empty", None, None, None)),
    ("!", ("django", "unusable", None, None, None)),
    (f"pbkdf2_sha256$390000$${DIGEST}", ("django", "pbkdf2_sha256", {"iterations": 390000}, 256, False)),
    (f"pbkdf2_sha256$390000${SALT}$abcd", ("django", "pbkdf2_sha256", {"iterations": 390000}, 24, True)),
    (f"pbkdf2_sha256$390000${SALT}$ag==", ("django", "pbkdf2_sha256", {"iterations": 390000}, 8, True)),
    (f"pbkdf2_sha256$1${SALT}${DIGEST}", ("django", "pbkdf2_sha256", {"iterations": 1}, 256, True)),
    (f"pbkdf2_sha256$999999999$:,%=~${DIGEST}", ("django", "pbkdf2_sha256", {"iterations": 999999999}, 256, True)),
    (
        ARGON2.replace("m=65536,t=3,p=4", "m=32,t=1,p=4"),
        ("phc", "argon2id", {"memory_kib": 32, "iterations": 1, "parallelism": 4}, 256, True),
    ),
    (f"md5$${'0' * 32}", ("django", "django_md5", None, 128, False)),
    (f"scrypt:2:1:1$s${'0a' * 3}", ("werkzeug", "scrypt", {"n": 2, "r": 1, "p": 1}, 24, True)),
    (f"pbkdf2:sha256:1$${'0a' * 3}", ("werkzeug", "pbkdf2_sha256", {"iterations": 1}, 24, False)),
    (f"scrypt:2:1:1$${'0a' * 3}", ("werkzeug", "scrypt", {"n": 2, "r": 1, "p": 1}, 24, False)),
    (f"scrypt$2$${SCRYPT_TAIL[1:]}", ("django", "scrypt", {"n": 2, "r": 8, "p": 5}, 512, False)),
    (f"$scrypt$ln=31,r=8,p=1$${'A' * 43}", ("passlib", "scrypt", {"n": 2**31, "r": 8, "p": 1}, 256, False)),
    (f"$5$${'.' * 43}", ("crypt", "sha256_crypt", {"iterations": 5000}, 256, False)),
    (f"$5$rounds=1000$${'.' * 43}", ("crypt", "sha256_crypt", {"iterations": 1000}, 256, False)),
    (f"$6$${'.' * 86}", ("crypt", "sha512_crypt", {"iterations": 5000}, 512, False)),
    (f"$6$rounds=1000$${'.' * 86}", ("crypt", "sha512_crypt", {"iterations": 1000}, 512, False)),
    (f"$1$${'.' * 22}", ("crypt", "md5_crypt", None, 128, False)),
    (f"$P$5{'.' * 30}", ("crypt", "phpass", {"log2_rounds": 7}, 128, True)),
    (f"$P$S{'.' * 30}", ("crypt", "phpass", {"log2_rounds": 30}, 128, True)),
    ("0123456789" * 3 + "01", ("hex", "md5_hex", None, 128, False)),
    ("ABCDEF0123" * 4, ("hex", "sha1_hex", None, 160, False)),
    (BCRYPT.replace("$12$", "$04$"), ("crypt", "bcrypt", {"log2_rounds": 4}, 184, True)),
    (BCRYPT.replace("$2b$12$", "$2y$31$"), ("crypt", "bcrypt", {"log2_rounds": 31}, 184, True)),
]
"""Recognised, and to be recognised as just as weak as they are: the edges of each format."""

NASTY: list[str] = [
    # Plaintext that looks like a mark or a scheme.
    "!Passw0rd123",
    "!" + "a" * 39,
    "!" + "a" * 41,
    "!" + "a" * 39 + "é",
    "!" + "a" * 40 + "\n",
    "!\n",
    "!!",
    " ",
    "\n",
    "password",
    "pbkdf2_sha256",
    "$",
    "$$$",
    "bcrypt$plaintext",
    "bcrypt_sha256$$plaintext",
    "argon2$argon2id$garbage",
    "argon2$" + "argon2id$v=19$m=65536,t=3,p=4$" + ARGON2_TAIL + "$",
    "%s%(x)s%%",
    "'; DROP TABLE users; --",
    "(?i)pbkdf2_sha256$390000$a$" + DIGEST,
    "***:.*",
    "[[:<:]]",
    # A good hash with something at an end.
    DJANGO + "\n",
    "\n" + DJANGO,
    DJANGO + " ",
    " " + DJANGO,
    DJANGO + "\r\n",
    DJANGO + "\nhunter2",
    "hunter2\n" + DJANGO,
    DJANGO + "$",
    DJANGO + DJANGO,
    BCRYPT + "\n",
    BCRYPT + "a",
    BCRYPT[:-1],
    ARGON2 + "\n",
    ARGON2 + "$",
    ARGON2 + ",data=AAAA",
    "0" * 32 + "\n",
    "0" * 31 + "٣",  # ARABIC-INDIC DIGIT THREE is a digit to \\d
    "0" * 128,
    "a" * 16 + "A" * 16,
    "g" * 32,
    # Case.
    DJANGO.replace("pbkdf2", "PBKDF2"),
    BCRYPT.replace("$2b$", "$2B$"),
    ARGON2.replace("argon2id", "Argon2id"),
    f"pbkdf2:sha256:600000$salt${'AB' * 32}",
    f"{{pbkdf2-sha256}}29000${'A' * 22}${'A' * 43}",
    # Cost: missing, zero, padded, signed, too long, not of this alphabet.
    DJANGO.replace("390000", ""),
    DJANGO.replace("390000", "0"),
    DJANGO.replace("390000", "0390000"),
    DJANGO.replace("390000", "+390000"),
    DJANGO.replace("390000", "-390000"),
    DJANGO.replace("390000", "39e4"),
    DJANGO.replace("390000", " 390000"),
    DJANGO.replace("390000", "1234567890"),
    DJANGO.replace("390000", "9" * 30),
    DJANGO.replace("390000", "390\N{ARABIC-INDIC DIGIT ZERO}00"),
    BCRYPT.replace("$12$", "$03$"),
    BCRYPT.replace("$12$", "$32$"),
    BCRYPT.replace("$12$", "$99$"),
    BCRYPT.replace("$12$", "$4$"),
    BCRYPT.replace("$12$", "$012$"),
    BCRYPT.replace("$2b$", "$2x$"),
    BCRYPT.replace("$2b$", "$2$"),
    ARGON2.replace("m=65536", "m=0"),
    ARGON2.replace("m=65536", "m=31"),  # fewer than 8 blocks a lane
    ARGON2.replace("m=65536", "m=4294967295"),
    ARGON2.replace("t=3", "t=0"),
    ARGON2.replace("p=4", "p=0"),
    ARGON2.replace("m=65536,t=3,p=4", "m=999999999,t=3,p=16777216"),  # RFC 9106: at most 2^24 - 1 lanes
    ARGON2.replace("m=65536,t=3", "t=3,m=65536"),
    ARGON2.replace("v=19", "v=16"),
    ARGON2.replace("v=19$", ""),
    ARGON2.replace("argon2id", "argon2x"),
    f"$5$rounds=999${SALT[:16]}${'.' * 43}",
    f"$5$rounds=05000${SALT[:16]}${'.' * 43}",
    f"$5$rounds=$${'.' * 43}",
    f"$6$rounds=5000$rounds=5000$${'.' * 86}",
    f"$6${SALT[:17]}${'.' * 86}",
    f"$6${SALT[:16]}${'.' * 43}",
    f"$P$4{'.' * 30}",
    f"$P$T{'.' * 30}",
    f"$scrypt$ln=32,r=8,p=1$${'A' * 43}",
    f"$scrypt$ln=016,r=8,p=1$${'A' * 43}",
    f"$scrypt$ln=16,r=1,p=1$${'A' * 43}",  # n must be below 2^(16 r)
    f"scrypt$16385${SALT}{SCRYPT_TAIL}",  # no power of two
    f"scrypt$1${SALT}{SCRYPT_TAIL}",
    f"scrypt:32768:99999:99999$s${'0a' * 64}",  # r times p too large
    f"pbkdf2:sha256$salt${'0a' * 32}",
    f"pbkdf2:md5:600000$salt${'0a' * 16}",
    # Digest and salt.
    DJANGO.replace(DIGEST, ""),
    DJANGO.replace(DIGEST, "="),
    DJANGO.replace(DIGEST, "===="),
    DJANGO.replace(DIGEST, DIGEST[:-1]),
    DJANGO.replace(DIGEST, DIGEST + "="),
    DJANGO.replace(DIGEST, "A" + DIGEST),
    DJANGO.replace(DIGEST, DIGEST[:-2] + "B="),  # unused bits set
    DJANGO.replace(DIGEST, DIGEST.replace("Q", "-", 1)),
    DJANGO.replace(DIGEST, DIGEST.replace("Q", "é", 1)),
    DJANGO.replace(DIGEST, DIGEST[:20] + "=" + DIGEST[21:]),
    DJANGO.replace(SALT, "sa\nlt"),
    DJANGO.replace(SALT, "Ümlaut"),
    DJANGO.replace(SALT, "a$b"),
    DJANGO.replace(SALT, "s" * 2000),
    f"pbkdf2_sha512$390000${SALT}${DIGEST}",  # no hasher of Django's
    ARGON2.replace("zjS9ockIMYlwinuck6Pxtg", "abc"),
    ARGON2.replace("zjS9ockIMYlwinuck6Pxtg", ""),
    ARGON2.replace("T2PQg5CaQvijQnCAgADzW7cn6xM1P0CrGk0f/HJ4JVU", "AAAA"),
    ARGON2 + "=",
    f"pbkdf2:sha256:600000$salt${'0a' * 32}0",
    f"$pbkdf2-sha256$29000${'A' * 21}${'A' * 43}",
    f"$pbkdf2-sha256$29000${'A' * 22}${'A' * 42}+",
    f"md5$salt${'0' * 31}",
    f"sha1$salt${'0' * 32}",
    "x" * 100_000,
    "\N{GRINNING FACE}" * 200,
    # Written by libraries that are not judged here.
    "LZJ10j/Nm6Rpg",  # DES crypt
    "_7C/.5W9w2RKuPfNWDDc",  # extended DES crypt
    "$apr1$CphyI/rQ$FmM5OHyL4wZUp0of7vB070",  # Apache MD5
    "$sha1$480000$JliOsbre$/SHOhc6YXEDpnMA9z2XjD5nBd352",  # NetBSD SHA-1
    "{SSHA}CoXTQaxx4p4Ccs1IT7BLnSGzo5KXsrZW",  # salted SHA-1 of LDAP
    (
        "grub.pbkdf2.sha512.25000.14222424E49CB3D6DA7B8FB136462805E07C8F91F25E4B4949A9B53666CC39478"
        "8714E2965EC5D4B09E1FC7F8FD15A6BED7D8F11A2548A31C6586BAD35068090.9C32BDADA128A25326BF379136"
        "559B6900C4FEA0073C092E48941ED8C29C4D9468214A0BBFEDDA082BC804546DE791F3EF0D2A4BAA31E7FDCC64"
        "5338724DCEFF"
    ),  # GRUB
    "*7EF204D5E9151D33077D698FD48BCEE699458CA6",  # MySQL 4.1
    (
        "$scram$100000$zHkPISSktLZWqhXi$sha-1=MQR16u7PcEH1N4xg/aN2Bf5Sqn8,sha-256=YWeXW1KNNb4s6PbPw"
        "vS4xEakC.fs.zJz/pJJlwbnYJo,sha-512=0tociYo5EIy8OhdZMJjiZFc873mCSBjNlwLwcYi9EoZaXUPSrWKmI7j"
        "ZoU9MIt6hOSJoZ.yO2rZOi8.RPnJP1g"
    ),  # SCRAM of passlib
    (
        "cef61e4e4eda7ba8a2feaa120617fcf7a513ad9204423b25e243b7d3f556f92853e95b156adaffdd9a27d0e507"
        "36ad6a6bbcc50ce8a9bd35162f7d799e89a521"
    ),  # SHA-512 in hex
]
"""All of these must be unrecognised."""
