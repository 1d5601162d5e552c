// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice A token that anyone may mint: DevToken, which the tests take from its artifact.
interface Mintable is IERC20 {
    function mint(address account, uint256 amount) external;
}
