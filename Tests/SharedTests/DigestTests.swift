import Shared
import Testing

@Suite struct `Digests` {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `SHA-256 answers as FIPS 180-4 says`(_ text: String, _ hex: String) {
        #expect(Digest.hex(Digest.sha256(text)) == hex)
    }

    @Test func `HMAC answers as RFC 4231 and RFC 2202 say`() {
        let key = [UInt8](repeating: 0x0B, count: 20)
        let jefe = bytes("what do ya want for nothing?")
        let long = bytes("Test Using Larger Than Block-Size Key - Hash Key First")
        #expect(
            Digest.hex(Digest.hmacSHA256(key: key, bytes("Hi There")))
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(
            Digest.hex(Digest.hmacSHA256(key: bytes("Jefe"), jefe))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            Digest.hex(Digest.hmacSHA256(key: [UInt8](repeating: 0xAA, count: 131), long))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        #expect(Digest.hex(Digest.hmacSHA1(key: key, bytes("Hi There"))) == "b617318655057264e28bc0b6fb378c8ef146be00")
        #expect(Digest.hex(Digest.hmacSHA1(key: bytes("Jefe"), jefe)) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        // The empty key, which a naive call into OpenSSL would take for another one.
        #expect(
            Digest.hex(Digest.hmacSHA256(key: [], []))
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `base64 is RFC 4648's`(_ plain: String, _ text: String) {
        #expect(Digest.base64(bytes(plain)) == text)
        #expect(Digest.decodeBase64(text) == bytes(plain))
        let bare = String(text.prefix { $0 != "=" })
        #expect(Digest.base64URL(bytes(plain)) == bare)
        #expect(Digest.decodeBase64URL(bare) == bytes(plain))
    }

    @Test func `the two alphabets differ in two letters`() {
        #expect(Digest.base64([0xFB, 0xFF]) == "+/8=")
        #expect(Digest.base64URL([0xFB, 0xFF]) == "-_8")
        #expect(Digest.decodeBase64URL("+/8") == nil)
        #expect(Digest.decodeBase64("-_8=") == nil)
        for count in 0..<100 {
            let random = Digest.randomBytes(count)
            #expect(Digest.decodeBase64(Digest.base64(random)) == random)
            #expect(Digest.decodeBase64URL(Digest.base64URL(random)) == random)
            #expect(Digest.decodeHex(Digest.hex(random)) == random)
        }
    }

    @Test(arguments: ["Z", "Zg=", "Zg", "Z===", "====", "Zm9v\n", " Zm9v", "Zm9v=", "Zh==", "Zm9=", "Zm=v", "Zé=="])
    func `base64 with faults is refused`(_ text: String) {
        #expect(Digest.decodeBase64(text) == nil)
    }

    @Test(arguments: ["Z", "Zg==", "Zh", "Zm9", "Zm9v.", "Zm 9v", "Zm9v\0"])
    func `base64url has one spelling only`(_ text: String) {
        #expect(Digest.decodeBase64URL(text) == nil)
    }

    @Test(arguments: ["0", "0g", "é"])
    func `hexadecimal with faults is refused`(_ text: String) {
        #expect(Digest.decodeHex(text) == nil)
    }

    @Test func `comparison and randomness`() {
        #expect(Digest.constantTimeEquals("abc", "abc"))
        #expect(!Digest.constantTimeEquals("abc", "abd"))
        #expect(!Digest.constantTimeEquals("abc", "ab"))
        #expect(Digest.constantTimeEquals([UInt8](), []))
        #expect(Set((0..<100).map { _ in Digest.randomToken() }).count == 100)
        #expect(Digest.decodeBase64URL(Digest.randomToken(bytes: 24))?.count == 24)
    }

    @Test func `a seal opens with its key and purpose only`() {
        let seal = Seal(secret: "s3cret", purpose: "test")
        let plain = bytes("attack at dawn")
        let sealed = seal.seal(plain)
        #expect(seal.open(sealed) == plain)
        #expect(seal.open(seal.seal([])) == [])
        #expect(seal.seal(plain) != sealed)
        #expect(Seal(secret: "s3cret", purpose: "other").open(sealed) == nil)
        #expect(Seal(secret: "other", purpose: "test").open(sealed) == nil)
        #expect(seal.open([]) == nil)
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(seal.open(changed) == nil)
        }
    }
}
