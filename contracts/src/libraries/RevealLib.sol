// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Reveal} from "../Types.sol";

/// @notice Who revealed an update, as its how-manieth, with which weight, in one word: proofs read many of them.
/// 0: there is no such update.
type RevealWord is uint256;

using RevealLib for RevealWord global;

/// @title RevealLib
/// @notice Reveals in one word each: provider | index << 160 | weight << 176.
library RevealLib {
    function pack(Reveal storage shown) internal view returns (RevealWord) {
        return
            RevealWord.wrap(
                uint256(uint160(shown.provider)) | uint256(shown.index) << 160 | uint256(shown.weight) << 176
            );
    }

    function provider(RevealWord word) internal pure returns (address) {
        return address(uint160(RevealWord.unwrap(word)));
    }

    function index(RevealWord word) internal pure returns (uint256) {
        return uint16(RevealWord.unwrap(word) >> 160);
    }

    function weight(RevealWord word) internal pure returns (uint256) {
        return uint8(RevealWord.unwrap(word) >> 176);
    }
}
