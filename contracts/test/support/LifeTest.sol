// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {BountyId, Phase} from "../../src/Types.sol";
import {MarketTest} from "./MarketTest.sol";

/// @notice A life that passes through every entry point: round 1 is merged, round 2 lapses, round 3 finds no quorum.
abstract contract LifeTest is MarketTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(_deploy());
    }

    function _deploy() internal virtual returns (address);

    /// @dev Two members and a rival's bond; the aggregator's bond is missing.
    function _joining() internal {
        _post();
        _join(0);
        _join(1);
        _bond(rival);
    }

    /// @dev From there to the end: provider 0 may claim, and claim for round 2; provider 1 has something to forfeit.
    function _toTheEnd() internal {
        _bond(aggregator);
        _updates(2);
        _setEqualPayouts(2, 1_000e18);
        _merge(aggregator, 2_000e18);
        _commit(0);
        _commit(1);
        _warpTo(Phase.Reveal);
        _reveal(0);
        vm.warp(_clock().endsAt); // round 2 lapses
        vm.warp(_clock().endsAt); // round 3 expires
        assertTrue(_now() >= vestsAt, "vested");
    }

    /// @dev Everyone takes what is theirs.
    function _everyoneLeaves() internal {
        _claim(0, 1, 1_000e18);
        _claim(1, 1, 1_000e18);
        _claimLapsed(0, 2);
        _forfeit(1);
        _withdraw(0);
        _withdraw(1);
        _withdrawBond(aggregator);
        _withdrawBond(rival);
        _refund();
    }

    /// @dev What the market owes of bounty `bounty` to the accounts of this test.
    function _liabilities(BountyId bounty) internal view returns (uint256 sum) {
        (uint96 owed, uint128 free) = market.money(bounty);
        sum = owed + free;
        address[6] memory accounts = [owner, aggregator, rival, _provider(0), _provider(1), _provider(2)];
        for (uint256 k = 0; k < accounts.length; ++k) {
            (uint96 bond,) = market.bondOf(bounty, accounts[k]);
            sum += bond + market.provider(bounty, accounts[k]).stake;
        }
    }
}
