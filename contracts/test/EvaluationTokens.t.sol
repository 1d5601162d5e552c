// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    EvaluationId,
    EvaluationPhase,
    EvaluationTerms,
    IEvaluationMarket
} from "../src/interfaces/IEvaluationMarket.sol";
import {EvaluationTest} from "./support/EvaluationTest.sol";
import {BlockingToken, FeeToken, LyingToken, ReenteringToken, SilentToken} from "./support/HostileTokens.sol";

/// @notice A token that returns nothing works everywhere.
contract EvaluationSilentTokenTest is EvaluationTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new SilentToken()));
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
        _revealed(3, 2);
        vm.warp(_clock().endsAt);
        _claim(0);
        _refund();
        _claim(1);
        assertEq(_balance(address(market)), 0, "market");
        assertEq(_balance(owner), FORTUNE - 2 * uint256(rules.payment) + rules.stake, "owner");
    }
}

/// @notice A fee on transfer is refused on the way in; on the way out it is the receiver's loss alone.
contract EvaluationFeeTokenTest is EvaluationTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new FeeToken()));
    }

    function _charge(uint256 bps) private {
        FeeToken(address(token)).setFee(bps);
    }

    function test_deposits__withAFee__areRefused() public {
        uint256 pot = _escrow();
        _charge(100);
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongBalance.selector, pot - pot / 100, pot));
        _post();
        _charge(0);
        _post();
        _fund(_reporter(0));
        _charge(100);
        uint256 least = uint256(rules.stake) - rules.stake / 100;
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongBalance.selector, pot + least, pot + rules.stake));
        _commit(0);
        _assertMoney(0, pot, 0);
    }

    function test_payments__withAFeeThatCameLater__leaveTheContractSolvent() public {
        _revealed(2, 2);
        _charge(100);
        _claim(0);
        _refund();
        _claim(1);
        assertEq(_balance(address(market)), 0, "market");
        uint256 paid = uint256(rules.payment) + rules.stake;
        assertEq(_balance(_reporter(0)), FORTUNE - rules.stake + paid - paid / 100, "reporter");
    }
}

/// @notice A token that only says that it moved money gets no deposit recorded.
contract EvaluationLyingTokenTest is EvaluationTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new LyingToken()));
    }

    function test_deposits__thatNeverArrive__areRefused() public {
        uint256 pot = _escrow();
        LyingToken(address(token)).setLying(true);
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongBalance.selector, 0, pot));
        _post();
        LyingToken(address(token)).setLying(false);
        _post();
        _fund(_reporter(0));
        LyingToken(address(token)).setLying(true);
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongBalance.selector, pot, pot + rules.stake));
        _commit(0);
    }
}

/// @notice An account that the token blocks can't be paid until it is free again, and stops nobody else.
contract EvaluationBlockingTokenTest is EvaluationTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new BlockingToken()));
    }

    function _block(address account, bool on) private {
        BlockingToken(address(token)).setBlocked(account, on);
    }

    function _refusedAsBlocked(address account) private {
        _refused(abi.encodeWithSelector(BlockingToken.Blocked.selector, account));
    }

    function test_life__withTheOwnerAndAReporterBlocked__goesOn() public {
        _committed(3);
        _block(owner, true);
        _block(_reporter(0), true);
        _warpTo(EvaluationPhase.Reveal);
        _reveal(0); // moves no money
        _reveal(1);
        vm.warp(_clock().endsAt);
        _claim(1);
        _refusedAsBlocked(_reporter(0));
        _claim(0);
        _refusedAsBlocked(owner);
        _refund();
        _assertMoney(uint256(rules.payment) + rules.stake, 2 * uint256(rules.payment), rules.stake);
        _block(owner, false);
        _block(_reporter(0), false);
        _claim(0);
        _refund();
        assertEq(_balance(address(market)), 0, "market");
    }
}

/// @notice Every call that moves money, with every call made in its middle by the same account, in the same evaluation
/// or in another of the same token: afterwards the contract still holds exactly what it owes.
contract EvaluationReenteringTokenTest is EvaluationTest {
    EvaluationId private _other;
    bytes[] private _inner;
    uint256 private _tried;

    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new ReenteringToken()));
    }

    function setUp() public override {
        super.setUp();
        rules.maxReports = 2;
        _revealed(2, 2); // everyone has something to take out of another evaluation
        _other = id;
    }

    function test_reentering__whileCommitting__takesNothing() public {
        _committed(1);
        _fund(_reporter(1));
        bytes32 commitment = _commitment(_reporter(1), _value(1));
        EvaluationTerms memory terms = rules;
        _tryAll(owner, abi.encodeCall(market.post, (terms)));
        _tryAll(_reporter(1), abi.encodeCall(market.commit, (id, commitment, 0, noSiblings)));
    }

    function test_reentering__aCancellation__takesNothing() public {
        _post();
        _tryAll(owner, abi.encodeCall(market.cancel, (id)));
    }

    function test_reentering__whileTheMoneyLeaves__takesNothing() public {
        _committed(2);
        _warpTo(EvaluationPhase.Reveal);
        _reveal(0);
        vm.warp(_clock().endsAt);
        _tryAll(owner, abi.encodeCall(market.refund, (id)));
        _tryAll(_reporter(0), abi.encodeCall(market.claim, (id)));
    }

    function test_reentering__aClaimIntoItself__paysOnce() public {
        bytes memory again = abi.encodeCall(market.claim, (id));
        ReenteringToken(address(token)).arm(_reporter(0), address(market), again, true);
        _claim(0);
        assertEq(_balance(_reporter(0)), FORTUNE + rules.payment, "reporter");
    }

    /// @dev The last commitment ends the window, so the same call could go on to a reveal and a claim, before its stake
    /// has come: then the stake that comes is no deposit any more.
    function test_reentering__aCommitmentThatIsPaidBeforeItsStakeComes__isRefused() public {
        _committed(1);
        _fund(_reporter(1));
        bytes memory early = abi.encodeCall(market.claim, (_other));
        ReenteringToken(address(token)).arm(_reporter(1), address(market), early, true);
        uint256 held = _balance(address(market));
        uint256 taken = uint256(rules.payment) + rules.stake;
        _refused(
            abi.encodeWithSelector(
                IEvaluationMarket.WrongBalance.selector, held - taken + rules.stake, held + rules.stake
            )
        );
        _commit(1);
    }

    /// @dev `actor` makes the call `outer`, and within it each of the calls, before and after the money has moved.
    function _tryAll(address actor, bytes memory outer) private {
        _setInner(actor);
        for (uint256 k = 0; k < _inner.length; ++k) {
            _try(actor, outer, _inner[k], true);
            _try(actor, outer, _inner[k], false);
        }
        assertEq(_tried, 2 * _inner.length, "tried");
        _tried = 0;
    }

    function _try(address actor, bytes memory outer, bytes memory inner, bool before) private {
        uint256 snapshot = vm.snapshotState();
        ReenteringToken(address(token)).arm(actor, address(market), inner, before);
        vm.prank(actor);
        (bool success,) = address(market).call(outer);
        success; // refused or not: what counts is what is held and owed
        uint256 owed = 0;
        for (uint256 evaluation = 1; evaluation <= market.evaluationCount(); ++evaluation) {
            (uint256 toReporters, uint256 free, uint256 locked) = market.money(EvaluationId.wrap(evaluation));
            owed += toReporters + free + locked;
        }
        assertEq(_balance(address(market)), owed, "held and owed");
        vm.revertToState(snapshot);
        ++_tried;
    }

    function _setInner(address actor) private {
        delete _inner;
        EvaluationTerms memory terms = rules;
        EvaluationId[2] memory ids = [id, _other];
        _inner.push(abi.encodeCall(market.post, (terms)));
        for (uint256 k = 0; k < ids.length; ++k) {
            bytes32 commitment = keccak256("any");
            _inner.push(abi.encodeCall(market.commit, (ids[k], commitment, 0, noSiblings)));
            _inner.push(abi.encodeCall(market.reveal, (ids[k], _value(1), _salt(actor))));
            _inner.push(abi.encodeCall(market.claim, (ids[k])));
            _inner.push(abi.encodeCall(market.refund, (ids[k])));
            _inner.push(abi.encodeCall(market.cancel, (ids[k])));
        }
    }
}
