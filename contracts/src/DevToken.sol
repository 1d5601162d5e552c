// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title DevToken
/// @notice A token for development chains, where anyone may mint.
/// @dev Warning: worthless by design. Never use it where value is at stake.
contract DevToken is ERC20Permit {
    constructor() ERC20("Fedbounty Dev Token", "DEV") ERC20Permit("Fedbounty Dev Token") {}

    /// @notice Create `amount` for `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}
