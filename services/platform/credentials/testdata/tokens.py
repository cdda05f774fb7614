"""Tokens made by PyJWT and cryptography, which share no code with Vigie: good ones of each algorithm, and attacks.

Prints one object of JSON. Keys are new in each run, and their private halves are never written. `tokens.json` is the output of one run:

    python3 tokens.py > tokens.json
"""

import base64
import hashlib
import hmac
import json
import sys

import cryptography
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = 1_800_000_000
ISSUER = "https://id.example"
CLAIMS = {
    "iss": ISSUER,
    "aud": "vigie",
    "sub": "uploads@acme",
    "iat": NOW - 60,
    "nbf": NOW - 60,
    "exp": NOW + 600,
    "groups": ["matchers"],
}


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number(value, length=None):
    return base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def jwk(kid, key, **more):
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        members = {"kty": "OKP", "crv": "Ed25519", "x": base64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        length = (public.curve.key_size + 7) // 8
        crv = {256: "P-256", 384: "P-384"}[public.curve.key_size]
        members = {"kty": "EC", "crv": crv, "x": number(point.x, length), "y": number(point.y, length)}
    else:
        numbers = public.public_numbers()
        members = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    return {"kid": kid, **members, **more}


KEYS = {
    "ed": ed25519.Ed25519PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
    "rsa4096": rsa.generate_private_key(65537, 4096),
    "rsa1024": rsa.generate_private_key(65537, 1024),
    "rsa-e3": rsa.generate_private_key(3, 2048),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "encryption": rsa.generate_private_key(65537, 2048),
}
OTHER_RSA = rsa.generate_private_key(65537, 2048)


def sign(algorithm, kid, key=None, claims=None, **header):
    return jwt.encode(claims or CLAIMS, key or KEYS[kid], algorithm, headers={"kid": kid, **header})


def with_hmac(secret):
    """RS256's public key as the secret of HMAC: PyJWT refuses to make it, an attacker does not."""
    parts = [{"typ": "JWT", "alg": "HS256", "kid": "rsa"}, CLAIMS]
    signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return signed + "." + base64url(hmac.new(secret, signed.encode(), hashlib.sha256).digest())


def main():
    public = KEYS["rsa"].public_key()
    header, payload, signature = sign("RS256", "rsa").split(".")
    changed = base64url(json.dumps({**CLAIMS, "sub": "admin@acme"}).encode())
    jwks = [jwk(kid, key, **({"use": "enc"} if kid == "encryption" else {})) for kid, key in KEYS.items()]
    good = {
        "EdDSA": sign("EdDSA", "ed"),
        "ES256": sign("ES256", "p256"),
        "RS256": sign("RS256", "rsa"),
        "RS256 by 4,096 bits": sign("RS256", "rsa4096"),
        "without typ": sign("EdDSA", "ed", typ=None),
        "an access token": sign("EdDSA", "ed", typ="at+jwt"),
        "a list of audiences": sign("ES256", "p256", claims={**CLAIMS, "aud": ["other", "vigie"]}),
    }
    bad = {
        "none": (jwt.encode(CLAIMS, None, "none", headers={"kid": "rsa"}), "token_algorithm"),
        "HMAC by the PEM of the public key": (
            with_hmac(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
            "token_algorithm",
        ),
        "HMAC by the DER of the public key": (
            with_hmac(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
            "token_algorithm",
        ),
        "RS512": (sign("RS512", "rsa"), "token_algorithm"),
        "PS256": (sign("PS256", "rsa"), "token_algorithm"),
        "ES384": (sign("ES384", "p384"), "token_algorithm"),
        "1,024 bits": (sign("RS256", "rsa1024"), "token_key_unusable"),
        "exponent 3": (sign("RS256", "rsa-e3"), "token_key_unusable"),
        "a key for encryption": (sign("RS256", "encryption"), "token_key_unusable"),
        "another key under this kid": (sign("RS256", "rsa", key=OTHER_RSA), "token_signature"),
        "a key that the token brings": (
            sign("RS256", "rsa", key=OTHER_RSA, jwk=jwk("rsa", OTHER_RSA), jku="https://evil.example/keys"),
            "token_signature",
        ),
        "the kid of another key": (sign("RS256", "rsa4096", key=KEYS["rsa"]), "token_signature"),
        "the kid of a key of another algorithm": (sign("RS256", "ed", key=KEYS["rsa"]), "token_key_unusable"),
        "an unknown kid": (sign("RS256", "elsewhere", key=KEYS["rsa"]), "token_key_unknown"),
        "changed claims": (f"{header}.{changed}.{signature}", "token_signature"),
        "no signature": (f"{header}.{payload}.", "token_signature"),
        "a list without this audience": (sign("ES256", "p256", claims={**CLAIMS, "aud": ["a", "b"]}), "token_audience"),
        "another audience": (sign("ES256", "p256", claims={**CLAIMS, "aud": "vigie2"}), "token_audience"),
        "another issuer": (sign("ES256", "p256", claims={**CLAIMS, "iss": ISSUER + "/"}), "token_issuer"),
        "expired": (sign("RS256", "rsa", claims={**CLAIMS, "exp": NOW - 60}), "token_expired"),
        "not valid yet": (sign("RS256", "rsa", claims={**CLAIMS, "nbf": NOW + 61}), "token_not_yet_valid"),
        "good for a day": (sign("RS256", "rsa", claims={**CLAIMS, "exp": NOW + 86_400}), "token_lifetime"),
    }
    made_by = f"PyJWT {jwt.__version__}, cryptography {cryptography.__version__}"
    bad = {name: {"token": token, "reason": reason} for name, (token, reason) in bad.items()}
    out = {"made_by": made_by, "now": NOW, "jwks": {"keys": jwks}, "good": good, "bad": bad}
    json.dump(out, sys.stdout, indent=1)
    print()


main()
