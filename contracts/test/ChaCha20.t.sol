// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChaCha20Lib} from "../src/libraries/ChaCha20Lib.sol";
import {Test} from "./support/Test.sol";

/// @notice The block function against RFC 8439's own vectors, and what it costs.
contract ChaCha20Test is Test {
    uint256 private constant BLOCK_GAS = 30_000;

    /// @dev Shown with -vvvv.
    event Measured(string what, uint256 gas);

    function _assertStream(bytes32 key, uint32 counter, bytes12 nonce, bytes memory expected) private pure {
        (bytes32 first, bytes32 second) = ChaCha20Lib.keyStream(key, counter, nonce);
        assertEq(keccak256(abi.encodePacked(first, second)), keccak256(expected), "key stream");
    }

    /// @dev Section 2.3.2.
    function test_keyStream__withTheExampleOfSection232__isItsBlock() public pure {
        _assertStream(
            0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f,
            1,
            0x000000090000004a00000000,
            hex"10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
        );
    }

    /// @dev Section 2.4.2: the first 32 bytes of its text.
    function test_keyStream__withTheExampleOfSection242__encryptsItsText() public pure {
        bytes32 key = 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f;
        (bytes32 first,) = ChaCha20Lib.keyStream(key, 1, 0x000000000000004a00000000);
        bytes32 text = "Ladies and Gentlemen of the clas";
        bytes32 expected = 0x6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b;
        assertEq(first ^ text, expected, "ciphertext");
    }

    /// @dev Appendix A.1, test vectors 1 to 5.
    function test_keyStream__withTheVectorsOfAppendixA1__isTheirBlocks() public pure {
        bytes12 none = 0;
        bytes memory one =
            hex"76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586";
        _assertStream(0, 0, none, one);
        _assertStream(
            0,
            1,
            none,
            hex"9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
        );
        _assertStream(
            bytes32(uint256(1)),
            1,
            none,
            hex"3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"
        );
        _assertStream(
            bytes32(uint256(0xff) << 240),
            2,
            none,
            hex"72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"
        );
        _assertStream(
            0,
            0,
            bytes12(uint96(2)),
            hex"c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c78a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"
        );
    }

    /// @dev The forms of it agree: a mask is four bytes of the stream, little-endian.
    function testFuzz_maskAt__ofAnyCoordinate__isItsBytesOfTheStream(bytes32 seed, uint32 coordinate) public pure {
        (bytes32 first, bytes32 second) = ChaCha20Lib.keyStream(seed, coordinate / 16, 0);
        bytes memory stream = abi.encodePacked(first, second);
        uint256 mask = 0;
        for (uint256 k = 0; k < 4; ++k) {
            mask |= uint256(uint8(stream[4 * (coordinate % 16) + k])) << 8 * k;
        }
        assertEq(ChaCha20Lib.maskAt(seed, coordinate), mask, "mask");
    }

    function test_maskAt__ofOneSeed__costsAtMost30kGas() public {
        bytes32 seed = keccak256("seed");
        uint256 before = gasleft();
        uint32 mask = ChaCha20Lib.maskAt(seed, 123_456_789);
        uint256 gas = before - gasleft();
        assertTrue(mask != 0, "mask");
        emit Measured("one mask", gas);
        assertTrue(gas <= BLOCK_GAS, "gas");
    }
}
