// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICases} from "../src/interfaces/ICases.sol";
import {Opening} from "../src/interfaces/IFraudProofs.sol";
import {MaskTest} from "./support/MaskTest.sol";

/// @notice Merges that leave a whole group out: then an update's place among the accepted is not its reveal index.
/// forge-config: default.fuzz.runs = 8
/// forge-config: ci.fuzz.runs = 24
contract MaskRejectingTest is MaskTest {
    function testFuzz_prove__whenAGroupIsLeftOut__findsNoFault(uint8 updates, uint8 left, uint8 dropped_) public {
        (groups, dropped) = (3, dropped_ % 4);
        _maskedRound(bound(updates, 6, 9));
        uint256 rejected = 0;
        for (uint256 k = left % groups; k < count; k += groups) {
            rejected |= 1 << k;
        }
        _post(_honestMasked(rejected));
        uint256[] memory order = _accepted(rejected);
        bytes32[] memory roots = _roots(order);
        for (uint256 position = 0; position < order.length; ++position) {
            Opening memory keys = _keys(order[position]);
            _refused(ICases.NoFault.selector);
            _as(rival);
            masks.proveMasks(_disputed(), position, roots, keys, table);
            for (uint256 mask = 0; mask < _taken(order[position]); ++mask) {
                _refused(ICases.NoFault.selector);
                _as(rival);
                masks.proveSeed(_disputed(), position, mask, roots[position], keys, table);
            }
        }
        _refused(ICases.NoFault.selector);
        _as(rival);
        masks.proveTable(_disputed(), table);
    }

    /// @dev Its own mask, and those of its peers that have no update.
    function _taken(uint256 member) private view returns (uint256 taken) {
        taken = 1;
        for (uint256 peer = count; peer < count + dropped; ++peer) {
            if (_isPeer(member, peer)) ++taken;
        }
    }
}
