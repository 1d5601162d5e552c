// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RewardRule} from "../src/Types.sol";
import {IContributionScores, Panel} from "../src/interfaces/IContributionScores.sol";
import {ScoreTest} from "./support/ScoreTest.sol";

/// @notice Appointing a panel.
contract PanelTest is ScoreTest {
    function test_appoint__beforeAnyoneJoined__keepsThePanel() public {
        _post();
        Panel memory appointed = panel;
        vm.expectEmit(address(scores));
        emit IContributionScores.PanelAppointed(id, appointed);
        _appoint();
        assertEq(keccak256(abi.encode(scores.panelOf(id))), keccak256(abi.encode(appointed)), "panel");
        assertEq(_standingOf(0).place, 1, "the first place");
        assertEq(_standingOf(2).place, 3, "the last place");
        assertEq(_standingOf(3).place, 0, "a stranger's place");
    }

    function test_appoint__twice__isRefused() public {
        _post();
        _appoint();
        _refused(IContributionScores.AlreadyAppointed.selector);
        _appoint();
    }

    function test_appoint__onceSomebodyJoined__isRefused() public {
        _post();
        _join(0);
        _refused(abi.encodeWithSelector(IContributionScores.AppointedTooLate.selector, uint16(1)));
        _appoint();
    }

    function test_appoint__onceSomebodyJoinedAndLeft__isRefused() public {
        _post();
        _join(0);
        _leave(0);
        _withdraw(0);
        _refused(abi.encodeWithSelector(IContributionScores.AppointedTooLate.selector, uint16(1)));
        _appoint();
    }

    function test_appoint__whenCancelled__isRefused() public {
        _post();
        _cancel();
        _refused(abi.encodeWithSelector(IContributionScores.AppointedTooLate.selector, uint16(0)));
        _appoint();
    }

    function test_appoint__underAnotherRewardRule__isRefused() public {
        rules.rewardRule = RewardRule.Equal;
        _post();
        _refused(IContributionScores.OtherRewardRule.selector);
        _appoint();
    }

    function testFuzz_appoint__byAnyoneElse__isRefused(address caller) public {
        vm.assume(caller != owner);
        _post();
        Panel memory appointed = panel;
        vm.expectRevert(abi.encodeWithSelector(IContributionScores.NotOwner.selector, owner));
        vm.prank(caller);
        scores.appoint(id, appointed);
    }

    /// @dev Appointing `panel` is refused for `field`; then the usual panel of as many is back.
    function _invalid(string memory field) private {
        _refused(abi.encodeWithSelector(IContributionScores.InvalidPanel.selector, field));
        _appoint();
        _usualPanel(panel.evaluators.length);
    }

    function test_appoint__withAFieldOutOfRange__isRefusedAndNamesIt() public {
        _post();
        panel.bond = 0;
        _invalid("bond");
        panel.forfeit = 0;
        _invalid("forfeit");
        panel.forfeit = panel.bond + 1;
        _invalid("forfeit");
        panel.commitSeconds = 0;
        _invalid("commitSeconds");
        panel.revealSeconds = 0;
        _invalid("revealSeconds");
        panel.feeShare = 10_001;
        _invalid("feeShare");
        panel.tolerance = 20_001;
        _invalid("tolerance");
        panel.validation = 0;
        _invalid("validation");
        (panel.forfeit, panel.feeShare, panel.tolerance) = (panel.bond, 10_000, 20_000);
        _appoint();
    }

    function test_appoint__withAQuorumOutOfRange__isRefused() public {
        _post();
        _usualPanel(4);
        panel.quorum = 2;
        _invalid("quorum");
        panel.quorum = 5;
        _invalid("quorum");
        panel.quorum = 4;
        _appoint();
    }

    function test_appoint__ofTooFewTooManyOrTheSame__isRefused() public {
        _post();
        _usualPanel(2);
        _invalid("evaluators");
        _usualPanel(16);
        _invalid("evaluators");
        _usualPanel(3);
        panel.evaluators[2] = panel.evaluators[0];
        _invalid("evaluators");
        panel.evaluators[2] = address(0);
        _invalid("evaluators");
        _usualPanel(15);
        _appoint();
    }
}
