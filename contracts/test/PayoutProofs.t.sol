// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim} from "../src/Types.sol";
import {ICases} from "../src/interfaces/ICases.sol";
import {PayoutOpening} from "../src/interfaces/IFraudProofs.sol";
import {OpeningLib} from "../src/libraries/OpeningLib.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice Proofs about the tree of payouts: they take the bond of whoever lied, and nothing from whoever did not.
/// forge-config: default.fuzz.runs = 16
/// forge-config: ci.fuzz.runs = 48
contract PayoutProofsTest is ProofTest {
    function _provesPayout(uint16 seat, uint96 cumulative, uint256 rejected) private {
        (PayoutOpening memory payout, bytes32[] memory roots) = (_payout(seat, cumulative), _roots(_accepted(rejected)));
        _prove();
        proofs.provePayout(_disputed(), payout, roots);
    }

    function testFuzz_provePayout__ofAnHonestTree__isRefused(uint8 seat, bool rejects) public {
        _revealed(3);
        _post(_honest(rejects ? 2 : 0));
        seat %= 3;
        uint96 earned = rejects && seat == 1 ? 0 : uint96(_share(1) / 3);
        _refused(ICases.NoFault.selector);
        _provesPayout(seat, earned, rejects ? 2 : 0);
    }

    /// @dev Left alone by reasons that no contract judges, an update earns no more than a quorum's part.
    function test_provePayout__whenTheOnlyOneAcceptedTakesTheWholeShare__voidsTheMerge() public {
        _revealed(3);
        MergeClaim memory made = _honest(6);
        uint96[] memory payouts = new uint96[](3);
        payouts[0] = uint96(_share(1));
        _setPayouts(payouts);
        (made.payoutRoot, made.paid) = (_claimOf(0, 0, "").payoutRoot, uint96(_share(1)));
        _post(made);
        uint256 balance = _balance(PROVER);
        _provesPayout(0, uint96(_share(1)), 6);
        _assertVoided(PROVER, balance);
    }

    function test_provePayout__whenOneWeiWasMoved__voidsTheMerge() public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        uint96 each = uint96(_share(1) / 3);
        uint96[] memory payouts = new uint96[](3);
        (payouts[0], payouts[1], payouts[2]) = (each + 1, each - 1, each);
        _setPayouts(payouts);
        made.payoutRoot = _claimOf(0, 0, "").payoutRoot;
        _post(made);
        _refused(ICases.NoFault.selector);
        _provesPayout(2, each, 0);
        uint256 balance = _balance(PROVER);
        _provesPayout(1, each - 1, 0);
        _assertVoided(PROVER, balance);
    }

    function test_provePayout__ofALeafForAnotherAccount__voidsTheMerge() public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        leaves[1] = leaves[2]; // the leaf of member 2 in the place of member 1 opens for nobody; see demands
        made.payoutRoot = _claimOf(0, 0, "").payoutRoot;
        _post(made);
        _refused(abi.encodeWithSelector(OpeningLib.NotInTree.selector, bytes32(bytes28(made.payoutRoot))));
        _provesPayout(1, uint96(_share(1) / 3), 0);
    }

    function test_provePaid__ofAnHonestMerge__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        bytes32[] memory roots = _roots(_accepted(0));
        _refused(ICases.NoFault.selector);
        _prove();
        proofs.provePaid(_disputed(), roots, address(0));
    }

    function testFuzz_provePaid__ofAnotherSum__voidsTheMerge(uint96 paid) public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        paid = uint96(bound(paid, 0, _share(1)));
        vm.assume(paid != made.paid);
        made.paid = paid;
        _post(made);
        bytes32[] memory roots = _roots(_accepted(0));
        uint256 balance = _balance(PROVER);
        _prove();
        proofs.provePaid(_disputed(), roots, address(0));
        _assertVoided(PROVER, balance);
    }

    function test_provePaid__ofATreeWithoutALeafForAProvider__voidsTheMerge() public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        made.payoutLeaves = 2;
        _post(made);
        bytes32[] memory roots = _roots(_accepted(0));
        _refused(ICases.NoFault.selector);
        _prove();
        proofs.provePaid(_disputed(), roots, _provider(1));
        uint256 balance = _balance(PROVER);
        _prove();
        proofs.provePaid(_disputed(), roots, _provider(2));
        _assertVoided(PROVER, balance);
    }
}
