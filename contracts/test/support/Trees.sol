// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SumNode, SumTreeLib} from "../../src/libraries/SumTreeLib.sol";

/// @notice Whole trees in memory, built level by level after docs/PROTOCOL.md, section 2.
library Trees {
    // --- chunk trees ---

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        while (leaves.length > 1) {
            leaves = _above(leaves);
        }
        return leaves[0];
    }

    /// @dev Sealed with the tree's depth.
    function payoutRoot(bytes32[] memory leaves) internal pure returns (bytes32) {
        return keccak256(abi.encode(root(leaves), depth(leaves.length)));
    }

    function proof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory siblings) {
        siblings = new bytes32[](depth(leaves.length));
        for (uint256 level = 0; level < siblings.length; ++level) {
            uint256 sibling = (index >> level) ^ 1;
            siblings[level] = sibling < leaves.length ? leaves[sibling] : bytes32(0);
            leaves = _above(leaves);
        }
    }

    function depth(uint256 size) internal pure returns (uint256 levels) {
        while (1 << levels < size) {
            ++levels;
        }
    }

    function _above(bytes32[] memory nodes) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((nodes.length + 1) / 2);
        for (uint256 k = 0; k < above.length; ++k) {
            bytes32 right = 2 * k + 1 < nodes.length ? nodes[2 * k + 1] : bytes32(0);
            above[k] = keccak256(abi.encode(nodes[2 * k], right));
        }
    }

    // --- sum trees ---

    function top(SumNode[] memory leaves) internal pure returns (SumNode) {
        while (leaves.length > 1) {
            leaves = _above(leaves);
        }
        return leaves[0];
    }

    function proof(SumNode[] memory leaves, uint256 index) internal pure returns (SumNode[] memory siblings) {
        siblings = new SumNode[](depth(leaves.length));
        for (uint256 level = 0; level < siblings.length; ++level) {
            uint256 sibling = (index >> level) ^ 1;
            if (sibling < leaves.length) siblings[level] = leaves[sibling];
            leaves = _above(leaves);
        }
    }

    function _above(SumNode[] memory nodes) private pure returns (SumNode[] memory above) {
        above = new SumNode[]((nodes.length + 1) / 2);
        for (uint256 k = 0; k < above.length; ++k) {
            SumNode right;
            if (2 * k + 1 < nodes.length) right = nodes[2 * k + 1];
            above[k] = SumTreeLib.parent(nodes[2 * k], right);
        }
    }
}
