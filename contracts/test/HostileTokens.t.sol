// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITrainingMarket} from "../src/interfaces/ITrainingMarket.sol";
import {BountyId, Phase} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {BlockingToken, FeeToken, LyingToken, ReenteringToken, SilentToken} from "./support/HostileTokens.sol";
import {LifeTest} from "./support/LifeTest.sol";
import {Trees} from "./support/Trees.sol";

/// @notice A token that returns nothing works everywhere.
contract SilentTokenTest is LifeTest {
    function _deploy() internal override returns (address) {
        return address(new SilentToken());
    }

    /// @dev The interface of OpenZeppelin expects an answer from `approve`.
    function _fund(address account) internal override {
        SilentToken(address(token)).mint(account, FORTUNE);
        vm.prank(account);
        SilentToken(address(token)).approve(address(market), type(uint256).max);
    }

    function test_life__withATokenThatReturnsNothing__works() public {
        _post();
        _cancel();
        _joining();
        _join(2);
        _leave(2);
        _withdraw(2);
        _toTheEnd();
        _settle();
        _everyoneLeaves();
        assertEq(_balance(address(market)), 0, "market");
        assertEq(_balance(_provider(0)), FORTUNE + 1_000e18 + _share(2) / 2, "provider 0");
        assertEq(_balance(_provider(1)), FORTUNE + 1_000e18 - rules.forfeit, "provider 1");
        assertEq(_balance(owner), FORTUNE - 2_000e18 - _share(2) / 2 + rules.forfeit, "owner");
    }
}

/// @notice A fee on transfer is refused on the way in; on the way out it is the receiver's loss alone.
contract FeeTokenTest is LifeTest {
    function _deploy() internal override returns (address) {
        return address(new FeeToken());
    }

    function _charge(uint256 bps) private {
        FeeToken(address(token)).setFee(bps);
    }

    function test_deposits__withAFee__areRefused() public {
        uint256 fee = rules.pot / 100;
        _charge(100);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongBalance.selector, rules.pot - fee, rules.pot));
        _post();
        _charge(0);
        _post();
        _fund(_provider(0));
        _charge(100);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongBalance.selector, rules.pot + 99e18, rules.pot + 100e18));
        _join(0);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongBalance.selector, rules.pot + 495e18, rules.pot + 500e18));
        _bond(aggregator);
        assertEq(_balance(address(market)), _liabilities(id), "market");
    }

    function test_payments__withAFeeThatCameLater__leaveTheMarketSolvent() public {
        _joining();
        _toTheEnd();
        _charge(100);
        _everyoneLeaves();
        assertEq(_balance(address(market)), 0, "market");
        uint256 lapsed = _share(2) / 2;
        assertEq(_balance(_provider(0)), FORTUNE - 100e18 + 990e18 + 99e18 + lapsed - lapsed / 100, "provider");
    }

    function test_cancel__withAFeeThatCameLater__returnsThePotLessTheFee() public {
        _joining();
        _charge(100);
        _cancel();
        assertEq(_balance(owner), FORTUNE - rules.pot / 100, "owner");
        assertEq(_balance(address(market)), _liabilities(id), "market");
    }
}

/// @notice A token that only says that it moved money gets no deposit recorded.
contract LyingTokenTest is LifeTest {
    function _deploy() internal override returns (address) {
        return address(new LyingToken());
    }

    function test_deposits__thatNeverArrive__areRefused() public {
        LyingToken(address(token)).setLying(true);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongBalance.selector, 0, rules.pot));
        _post();
        LyingToken(address(token)).setLying(false);
        _post();
        _fund(_provider(0));
        LyingToken(address(token)).setLying(true);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongBalance.selector, rules.pot, rules.pot + rules.stake));
        _join(0);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongBalance.selector, rules.pot, rules.pot + rules.bond));
        _bond(aggregator);
    }
}

/// @notice An account that the token blocks can't be paid, and stops nobody else.
contract BlockingTokenTest is LifeTest {
    function _deploy() internal override returns (address) {
        return address(new BlockingToken());
    }

    function _block(address account, bool on) private {
        BlockingToken(address(token)).setBlocked(account, on);
    }

    function _refusedAsBlocked(address account) private {
        _refused(abi.encodeWithSelector(BlockingToken.Blocked.selector, account));
    }

    function test_deposits__fromABlockedAccount__areRefused() public {
        _block(owner, true);
        _refusedAsBlocked(owner);
        _post();
        _block(owner, false);
        _post();
        _fund(_provider(0));
        _block(_provider(0), true);
        _refusedAsBlocked(_provider(0));
        _join(0);
        _block(aggregator, true);
        _refusedAsBlocked(aggregator);
        _bond(aggregator);
        _block(owner, true);
        _refusedAsBlocked(owner);
        _cancel();
    }

    function test_life__withEveryoneBlockedButOneProvider__goesOn() public {
        _joining();
        _blockAll(true);
        _block(aggregator, false);
        _block(address(market), false);
        _bond(aggregator);
        _block(aggregator, true);
        _updates(2);
        _setEqualPayouts(2, 1_000e18);
        _merge(aggregator, 2_000e18);
        _commit(0);
        _commit(1);
        _warpTo(Phase.Reveal);
        _reveal(0);
        vm.warp(_clock().endsAt);
        _forfeit(1);
        _leave(1);
        vm.warp(_clock().endsAt);
        _settle();

        _claim(0, 1, 1_000e18);
        _claimLapsed(0, 2);
        _withdraw(0);
        _refusedAsBlocked(_provider(1));
        _claim(1, 1, 1_000e18);
        _refusedAsBlocked(_provider(1));
        _withdraw(1);
        _refusedAsBlocked(aggregator);
        _withdrawBond(aggregator);
        _refusedAsBlocked(rival);
        _withdrawBond(rival);
        _refusedAsBlocked(owner);
        _refund();
        assertEq(_balance(address(market)), _liabilities(id), "market");

        _blockAll(false);
        _claim(1, 1, 1_000e18);
        _withdraw(1);
        _withdrawBond(aggregator);
        _withdrawBond(rival);
        _refund();
        assertEq(_balance(address(market)), 0, "market");
    }

    function _blockAll(bool on) private {
        _block(owner, on);
        _block(aggregator, on);
        _block(rival, on);
        _block(_provider(1), on);
    }

    function test_claimLapsed__byABlockedProvider__waits() public {
        _joining();
        _toTheEnd();
        _block(_provider(0), true);
        _refusedAsBlocked(_provider(0));
        _claimLapsed(0, 2);
        _block(_provider(0), false);
        _claimLapsed(0, 2);
    }
}

/// @notice Every call that moves money, with every call made in its middle by the same account, in the same bounty or
/// in another of the same token: afterwards the market still holds exactly what it owes.
contract ReenteringTokenTest is LifeTest {
    BountyId private _other;
    bytes[] private _inner;

    function _deploy() internal override returns (address) {
        return address(new ReenteringToken());
    }

    /// @dev Another bounty of the same token, whose money must not be touched.
    function _setOther() private {
        _post();
        _join(0);
        _join(2);
        _bond(rival);
        _other = id;
    }

    function test_reentering__whileJoining__takesNothing() public {
        _setOther();
        _joining();
        _fund(_provider(2));
        _tryAll(owner, abi.encodeCall(ITrainingMarket.post, (rules)));
        _tryAll(owner, abi.encodeCall(ITrainingMarket.cancel, (id)));
        _tryAll(_provider(2), abi.encodeCall(ITrainingMarket.join, (id, rules.stake, 0, "")));
        _tryAll(aggregator, abi.encodeCall(ITrainingMarket.depositBond, (id)));
        _tryAll(rival, abi.encodeCall(ITrainingMarket.withdrawBond, (id)));
        _leave(0);
        _tryAll(_provider(0), abi.encodeCall(ITrainingMarket.withdrawStake, (id)));
    }

    function test_reentering__afterTheEnd__takesNothing() public {
        _setOther();
        _joining();
        _toTheEnd();
        bytes32[] memory proof = Trees.proof(leaves, 0);
        _tryAll(_provider(0), abi.encodeCall(ITrainingMarket.claim, (id, 1, 1_000e18, proof)));
        _tryAll(_provider(0), abi.encodeCall(ITrainingMarket.claimLapsed, (id, 2, _updateRoot(0, 2))));
        _tryAll(_provider(0), abi.encodeCall(ITrainingMarket.withdrawStake, (id)));
        _tryAll(_provider(1), abi.encodeCall(ITrainingMarket.withdrawStake, (id)));
        _tryAll(aggregator, abi.encodeCall(ITrainingMarket.withdrawBond, (id)));
        _tryAll(owner, abi.encodeCall(ITrainingMarket.refund, (id)));
    }

    function test_reentering__aClaimIntoItself__paysOnce() public {
        _joining();
        _toTheEnd();
        bytes memory again = abi.encodeCall(ITrainingMarket.claim, (id, 1, 1_000e18, Trees.proof(leaves, 0)));
        ReenteringToken(address(token)).arm(_provider(0), address(market), again, true);
        uint256 before = _balance(_provider(0));
        _claim(0, 1, 1_000e18);
        assertEq(_balance(_provider(0)), before + 1_000e18, "provider");
    }

    function test_reentering__aDepositThatWithdrawsItself__isRefused() public {
        _joining();
        ReenteringToken(address(token))
            .arm(aggregator, address(market), abi.encodeCall(ITrainingMarket.withdrawBond, (_another())), true);
        uint256 held = _balance(address(market));
        _refused(abi.encodeWithSelector(ErrorsLib.WrongBalance.selector, held, held + rules.bond));
        _bond(aggregator);
    }

    /// @dev A bounty in which the aggregator has a bond to take out.
    function _another() private returns (BountyId another) {
        BountyId kept = id;
        _post();
        _bond(aggregator);
        (another, id) = (id, kept);
    }

    /// @dev `actor` makes the call `outer`, and within it each of the calls, before and after the money has moved.
    function _tryAll(address actor, bytes memory outer) private {
        _setInner(actor);
        for (uint256 k = 0; k < 2 * _inner.length; ++k) {
            uint256 snapshot = vm.snapshotState();
            ReenteringToken(address(token)).arm(actor, address(market), _inner[k / 2], k % 2 == 0);
            vm.prank(actor);
            (bool success, bytes memory answer) = address(market).call(outer);
            if (!success) assertEq(bytes32(bytes4(answer)), bytes32(ErrorsLib.WrongBalance.selector), "why refused");
            uint256 held = _balance(address(market));
            uint256 owed = 0;
            for (uint256 bounty = 1; bounty <= market.bountyCount(); ++bounty) {
                owed += _liabilities(BountyId.wrap(bounty));
            }
            assertEq(held, owed, "what the market holds and owes");
            vm.revertToState(snapshot);
        }
    }

    /// @dev Every entry point, in this bounty and in the other.
    function _setInner(address actor) private {
        delete _inner;
        _inner.push(abi.encodeCall(ITrainingMarket.post, (rules)));
        for (uint256 k = 0; k < 2; ++k) {
            BountyId bounty = k == 0 ? id : _other;
            uint16 round = market.clock(bounty).round;
            _inner.push(abi.encodeCall(ITrainingMarket.cancel, (bounty)));
            _inner.push(abi.encodeCall(ITrainingMarket.join, (bounty, rules.stake, 0, "")));
            _inner.push(abi.encodeCall(ITrainingMarket.leave, (bounty)));
            _inner.push(abi.encodeCall(ITrainingMarket.withdrawStake, (bounty)));
            _inner.push(abi.encodeCall(ITrainingMarket.commit, (bounty, round, keccak256("update"))));
            _inner.push(abi.encodeCall(ITrainingMarket.reveal, (bounty, round, "", "", "")));
            _inner.push(abi.encodeCall(ITrainingMarket.forfeit, (bounty, _provider(1))));
            _inner.push(abi.encodeCall(ITrainingMarket.depositBond, (bounty)));
            _inner.push(abi.encodeCall(ITrainingMarket.withdrawBond, (bounty)));
            _inner.push(abi.encodeCall(ITrainingMarket.merge, (bounty, round, _claimOf(0, 0, ""))));
            bytes32[] memory proof = new bytes32[](0);
            if (leaves.length == 2) proof = Trees.proof(leaves, actor == _provider(1) ? 1 : 0);
            _inner.push(abi.encodeCall(ITrainingMarket.claim, (bounty, 1, 1_000e18, proof)));
            _inner.push(abi.encodeCall(ITrainingMarket.claimLapsed, (bounty, 2, _updateRoot(0, 2))));
            _inner.push(abi.encodeCall(ITrainingMarket.settle, (bounty)));
            _inner.push(abi.encodeCall(ITrainingMarket.refund, (bounty)));
        }
    }
}
