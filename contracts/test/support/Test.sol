// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @notice Assertions, bounds and time for forge tests.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev forge takes a contract with this for a test contract.
    bool public constant IS_TEST = true;

    error Differs(string what, uint256 actual, uint256 expected);
    error DiffersWord(string what, bytes32 actual, bytes32 expected);
    error Exceeds(string what, uint256 actual, uint256 most);
    error Untrue(string what);

    function assertEq(uint256 actual, uint256 expected, string memory what) internal pure {
        require(actual == expected, Differs(what, actual, expected));
    }

    function assertEq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        require(actual == expected, DiffersWord(what, actual, expected));
    }

    function assertEq(address actual, address expected, string memory what) internal pure {
        assertEq(bytes32(uint256(uint160(actual))), bytes32(uint256(uint160(expected))), what);
    }

    function assertLe(uint256 actual, uint256 most, string memory what) internal pure {
        require(actual <= most, Exceeds(what, actual, most));
    }

    function assertTrue(bool condition, string memory what) internal pure {
        require(condition, Untrue(what));
    }

    /// @dev A value in [least, most], spread evenly.
    function bound(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        uint256 span = most - least + 1; // 0: the whole range
        return span == 0 ? value : least + value % span;
    }

    function skip(uint256 duration) internal {
        vm.warp(this.time() + duration);
    }

    /// @dev The block time, asked through a call: within one call the optimizer takes it for constant.
    function time() external view returns (uint256) {
        return block.timestamp;
    }
}
