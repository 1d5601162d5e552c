// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, MergeRecord} from "../../src/Types.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {
    IContributionScores,
    Panel,
    ScoreClock,
    ScorePhase,
    ScoreState
} from "../../src/interfaces/IContributionScores.sol";
import {Mintable} from "./Mintable.sol";
import {Test} from "./Test.sol";

/// @notice Random evaluators, providers and strangers around the merged rounds of two bounties of one token. Every action
/// is valid when it is made, or must be refused. Ghosts count, apart from the contract, what came in, what went out, what
/// was reported, and what follows for everyone.
contract ScoreHandler is Test {
    uint256 public constant BOUNTIES = 2;
    uint16 public constant ROUNDS = 4;
    uint256 public constant PROVIDERS = 3; // each has an update in every round, by its number
    uint256 private constant FORTUNE = 1e30;

    ITrainingMarket public immutable market;
    IContributionScores public immutable scores;
    Mintable public immutable token;
    address public immutable owner;

    mapping(uint256 bounty => mapping(uint16 round => MergeRecord)) private _records;
    mapping(uint256 bounty => mapping(uint16 round => bytes32[PROVIDERS])) private _roots;

    // ghosts
    mapping(uint256 bounty => uint256) public cameIn;
    mapping(uint256 bounty => uint256) public wentOut;
    mapping(uint256 bounty => mapping(address account => uint256)) public bondOf;
    mapping(uint256 bounty => mapping(address account => uint256)) public openOf;
    mapping(uint256 bounty => mapping(address account => uint256)) public earnedOf;
    mapping(uint256 bounty => uint256) public restOf;
    mapping(uint256 bounty => mapping(uint16 round => bool)) public settled;
    mapping(uint256 bounty => mapping(uint16 round => uint256[PROVIDERS])) private _due;
    mapping(uint256 bounty => mapping(uint16 round => mapping(address account => ScoreState))) public stateOf;
    mapping(uint256 bounty => mapping(uint16 round => mapping(address account => uint256))) public reportOf;
    mapping(uint256 bounty => mapping(uint16 round => uint256)) private _progress;

    constructor(ITrainingMarket market_, Mintable token_, address owner_) {
        (market, token, owner) = (market_, token_, owner_);
        scores = IContributionScores(market_.scores());
    }

    /// @notice Tell of a merged round. To be called before anything is played.
    function learn(uint256 bounty, uint16 round, MergeRecord memory record, bytes32[PROVIDERS] memory roots) external {
        _records[bounty][round] = record;
        _roots[bounty][round] = roots;
        Panel memory panel = scores.panelOf(BountyId.wrap(bounty));
        for (uint256 k = 0; k < panel.evaluators.length; ++k) {
            token.mint(panel.evaluators[k], FORTUNE);
            vm.prank(panel.evaluators[k]);
            token.approve(address(scores), type(uint256).max);
        }
    }

    function providerAt(uint256 k) public pure returns (address) {
        return address(uint160(0x1000 + k));
    }

    function dueOf(uint256 bounty, uint16 round, uint256 k) external view returns (uint256) {
        return _due[bounty][round][k];
    }

    /// @dev After every action: the money that moved is the money that was due, and no scoring of the
    /// bounty's rounds goes back.
    modifier act(uint256 bounty) {
        uint256 before = token.balanceOf(address(scores));
        (uint256 inBefore, uint256 outBefore) = (cameIn[bounty], wentOut[bounty]);
        _;
        uint256 expected = before + (cameIn[bounty] - inBefore) - (wentOut[bounty] - outBefore);
        assertEq(token.balanceOf(address(scores)), expected, "I24: money moved by an action");
        for (uint16 round = 1; round <= ROUNDS; ++round) {
            _checkProgress(bounty, round);
        }
    }

    function _checkProgress(uint256 bounty, uint16 round) private {
        ScoreClock memory clock = scores.clock(BountyId.wrap(bounty), round);
        uint256 past = _progress[bounty][round];
        assertLe(past >> 16, uint256(clock.phase), "I29: phase");
        assertLe(past >> 8 & 0xFF, clock.commits, "I29: commits");
        assertLe(past & 0xFF, clock.reveals, "I29: reveals");
        _progress[bounty][round] = uint256(clock.phase) << 16 | uint256(clock.commits) << 8 | clock.reveals;
    }

    // --- actions ---

    function wait(uint256 seconds_) external act(1) {
        skip(bound(seconds_, 1, 25));
    }

    function deposit(uint256 bounty, uint256 who) external {
        bounty = _bounty(bounty);
        _deposit(bounty, _evaluator(bounty, who));
    }

    function _deposit(uint256 bounty, address account) private act(bounty) {
        uint256 missing = _panel(bounty).bond - bondOf[bounty][account];
        bytes memory call = abi.encodeCall(scores.depositBond, (BountyId.wrap(bounty)));
        if (missing == 0) return _refused(account, call, "bonded twice");
        _done(account, call);
        cameIn[bounty] += missing;
        bondOf[bounty][account] += missing;
    }

    function withdraw(uint256 bounty, uint256 who) external {
        bounty = _bounty(bounty);
        _withdraw(bounty, _evaluator(bounty, who));
    }

    function _withdraw(uint256 bounty, address account) private act(bounty) {
        uint256 amount = bondOf[bounty][account];
        bytes memory call = abi.encodeCall(scores.withdrawBond, (BountyId.wrap(bounty)));
        if (amount == 0 || openOf[bounty][account] != 0) return _refused(account, call, "I27: a bond left early");
        _paid(bounty, account, call, amount);
        bondOf[bounty][account] = 0;
    }

    function commit(uint256 bounty, uint256 round, uint256 who, uint256 seed) external {
        bounty = _bounty(bounty);
        _commit(bounty, _round(round), _evaluator(bounty, who), seed);
    }

    function _commit(uint256 bounty, uint16 round, address account, uint256 seed) private act(bounty) {
        uint256 report = _reportOf(seed);
        bytes memory call =
            abi.encodeCall(scores.commit, (BountyId.wrap(bounty), round, _commitment(bounty, round, account, report)));
        bool covers = bondOf[bounty][account] >= _panel(bounty).forfeit * (openOf[bounty][account] + 1);
        bool isNew = stateOf[bounty][round][account] == ScoreState.None;
        if (_phase(bounty, round) != ScorePhase.Commit || !covers || !isNew) {
            return _refused(account, call, "committed twice, late or without a bond");
        }
        _done(account, call);
        openOf[bounty][account] += 1;
        stateOf[bounty][round][account] = ScoreState.Committed;
        reportOf[bounty][round][account] = report;
    }

    /// @dev Three parts of at most a third of the whole. Half of the reports are close to each other.
    function _reportOf(uint256 seed) private pure returns (uint256 report) {
        uint256 spread = seed % 2 == 0 ? 1_000_000 : 0x55555555;
        for (uint256 k = 0; k < PROVIDERS; ++k) {
            report |= uint256(keccak256(abi.encode(seed, k))) % spread << 224 - 32 * k;
        }
    }

    function _commitment(uint256 bounty, uint16 round, address account, uint256 report) private view returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(report));
        return keccak256(abi.encode(block.chainid, address(scores), bounty, round, account, hash, bytes32("salt")));
    }

    function reveal(uint256 bounty, uint256 round, uint256 who) external {
        bounty = _bounty(bounty);
        _reveal(bounty, _round(round), _evaluator(bounty, who));
    }

    function _reveal(uint256 bounty, uint16 round, address account) private act(bounty) {
        uint256[] memory report = new uint256[](1);
        report[0] = reportOf[bounty][round][account];
        bytes memory call = abi.encodeCall(scores.reveal, (BountyId.wrap(bounty), round, report, "salt"));
        bool isOpen = _phase(bounty, round) == ScorePhase.Reveal;
        if (!isOpen || stateOf[bounty][round][account] != ScoreState.Committed) {
            return _refused(account, call, "revealed twice or at the wrong time");
        }
        _done(account, call);
        stateOf[bounty][round][account] = ScoreState.Revealed;
    }

    function settle(uint256 bounty, uint256 round) external {
        _settle(_bounty(bounty), _round(round));
    }

    function _settle(uint256 bounty, uint16 round) private act(bounty) {
        uint256[][] memory reports = _opened(bounty, round);
        bool byMedian = reports.length != 0;
        bytes memory call =
            abi.encodeCall(scores.settle, (BountyId.wrap(bounty), round, _records[bounty][round], reports));
        if (_phase(bounty, round) != ScorePhase.Due) return _refused(owner, call, "I25: settled early or twice");
        uint256 released = market.mergeOf(BountyId.wrap(bounty), round).paid;
        _done(owner, call);
        cameIn[bounty] += released;
        settled[bounty][round] = true;
        _divide(bounty, round, _settleEvaluators(bounty, round, released, byMedian), byMedian);
    }

    /// @dev What each evaluator opened if there is a quorum, else nothing.
    function _opened(uint256 bounty, uint16 round) private view returns (uint256[][] memory reports) {
        Panel memory panel = _panel(bounty);
        uint256 count = 0;
        reports = new uint256[][](panel.evaluators.length);
        for (uint256 k = 0; k < reports.length; ++k) {
            if (stateOf[bounty][round][panel.evaluators[k]] != ScoreState.Revealed) continue;
            (reports[k], count) = (new uint256[](1), count + 1);
            reports[k][0] = reportOf[bounty][round][panel.evaluators[k]];
        }
        if (count < panel.quorum) reports = new uint256[][](0);
    }

    function _settleEvaluators(uint256 bounty, uint16 round, uint256 released, bool byMedian)
        private
        returns (uint256 pot)
    {
        Panel memory panel = _panel(bounty);
        uint256 fee = released * panel.feeShare / (10_000 * panel.evaluators.length);
        pot = released;
        for (uint256 k = 0; k < panel.evaluators.length; ++k) {
            address account = panel.evaluators[k];
            ScoreState state = stateOf[bounty][round][account];
            if (state == ScoreState.None) continue;
            openOf[bounty][account] -= 1;
            if (state == ScoreState.Committed) {
                bondOf[bounty][account] -= panel.forfeit;
                pot += panel.forfeit;
            } else if (byMedian && _distance(bounty, round, account) * 10_000 <= uint256(panel.tolerance) << 32) {
                earnedOf[bounty][account] += fee;
                pot -= fee;
            }
        }
    }

    function _distance(uint256 bounty, uint16 round, address account) private view returns (uint256 total) {
        uint256 report = reportOf[bounty][round][account];
        for (uint8 k = 0; k < PROVIDERS; ++k) {
            (uint256 part, uint256 weight) = (_part(report, k), _weight(bounty, round, k));
            total += part > weight ? part - weight : weight - part;
        }
    }

    /// @dev I28 too: what a weight must be, without sorting.
    function _divide(uint256 bounty, uint16 round, uint256 pot, bool byMedian) private {
        uint256 total = 0;
        for (uint8 k = 0; k < PROVIDERS; ++k) {
            uint256 weight = _weight(bounty, round, k);
            bool isRejected = _records[bounty][round].rejected >> k & 1 == 1;
            if (isRejected || !byMedian) assertEq(weight, isRejected ? 0 : 1, "I28: rejected, or without a quorum");
            else _checkMedian(bounty, round, k, weight);
            total += weight;
        }
        restOf[bounty] += pot;
        for (uint8 k = 0; k < PROVIDERS && total != 0; ++k) {
            uint256 amount = pot * _weight(bounty, round, k) / total;
            _due[bounty][round][k] = amount;
            restOf[bounty] -= amount;
        }
    }

    function _checkMedian(uint256 bounty, uint16 round, uint8 update, uint256 weight) private view {
        (uint256 count, uint256 below, uint256 upTo) = (0, 0, 0);
        Panel memory panel = _panel(bounty);
        for (uint256 k = 0; k < panel.evaluators.length; ++k) {
            if (stateOf[bounty][round][panel.evaluators[k]] != ScoreState.Revealed) continue;
            uint256 part = _part(reportOf[bounty][round][panel.evaluators[k]], update);
            ++count;
            if (part < weight) ++below;
            if (part <= weight) ++upTo;
        }
        assertLe(below, (count - 1) / 2, "I28: too many below");
        assertLe((count + 1) / 2, upTo, "I28: too many above");
    }

    function claim(uint256 bounty, uint256 round, uint256 who) external {
        _claim(_bounty(bounty), _round(round), who % PROVIDERS);
    }

    function _claim(uint256 bounty, uint16 round, uint256 who) private act(bounty) {
        uint256 amount = _due[bounty][round][who];
        bytes32 updateRoot = _roots[bounty][round][who];
        bytes memory call = abi.encodeCall(scores.claim, (BountyId.wrap(bounty), round, updateRoot));
        if (amount == 0) return _refused(providerAt(who), call, "I26: claimed twice or unearned");
        _paid(bounty, providerAt(who), call, amount);
        _due[bounty][round][who] = 0;
    }

    function collect(uint256 bounty, uint256 who) external {
        bounty = _bounty(bounty);
        _collect(bounty, _evaluator(bounty, who));
    }

    function _collect(uint256 bounty, address account) private act(bounty) {
        uint256 amount = earnedOf[bounty][account];
        bytes memory call = abi.encodeCall(scores.collectFees, (BountyId.wrap(bounty)));
        if (amount == 0) return _refused(account, call, "I25: unearned fees");
        _paid(bounty, account, call, amount);
        earnedOf[bounty][account] = 0;
    }

    function returnRest(uint256 bounty) external {
        _returnRest(_bounty(bounty));
    }

    function _returnRest(uint256 bounty) private act(bounty) {
        uint256 amount = restOf[bounty];
        bytes memory call = abi.encodeCall(scores.returnRest, (BountyId.wrap(bounty)));
        if (amount == 0) return _refused(owner, call, "I25: there was no rest");
        _paid(bounty, owner, call, amount);
        restOf[bounty] = 0;
    }

    /// @notice Most evaluators do what is next in a round.
    function carryOn(uint256 bounty, uint256 round, uint256 seed) external {
        bounty = _bounty(bounty);
        address[] memory evaluators = _panel(bounty).evaluators;
        for (uint256 k = 0; k < evaluators.length; ++k) {
            uint256 dice = uint256(keccak256(abi.encode(seed, k)));
            if (dice % 5 == 0) continue;
            if (_phase(bounty, _round(round)) == ScorePhase.Commit) {
                _deposit(bounty, evaluators[k]);
                _commit(bounty, _round(round), evaluators[k], dice >> 8);
            } else {
                _reveal(bounty, _round(round), evaluators[k]);
            }
        }
    }

    /// @notice Time passes, and everyone takes what is theirs.
    function drain() external {
        skip(1_000);
        for (uint256 bounty = 1; bounty <= BOUNTIES; ++bounty) {
            for (uint16 round = 1; round <= ROUNDS; ++round) {
                _settle(bounty, round);
                for (uint256 k = 0; k < PROVIDERS; ++k) {
                    _claim(bounty, round, k);
                }
            }
            address[] memory evaluators = _panel(bounty).evaluators;
            for (uint256 k = 0; k < evaluators.length; ++k) {
                _collect(bounty, evaluators[k]);
                _withdraw(bounty, evaluators[k]);
            }
            _returnRest(bounty);
        }
    }

    // --- steps ---

    function _done(address account, bytes memory call) private {
        vm.prank(account);
        (bool success,) = address(scores).call(call);
        assertTrue(success, "a valid call was refused");
    }

    function _paid(uint256 bounty, address account, bytes memory call, uint256 amount) private {
        uint256 before = token.balanceOf(account);
        _done(account, call);
        assertEq(token.balanceOf(account), before + amount, "I26: paid what is due");
        wentOut[bounty] += amount;
    }

    function _refused(address account, bytes memory call, string memory what) private {
        vm.prank(account);
        (bool success,) = address(scores).call(call);
        assertTrue(!success, what);
    }

    // --- reading ---

    function _panel(uint256 bounty) private view returns (Panel memory) {
        return scores.panelOf(BountyId.wrap(bounty));
    }

    function _phase(uint256 bounty, uint16 round) private view returns (ScorePhase) {
        return scores.clock(BountyId.wrap(bounty), round).phase;
    }

    function _weight(uint256 bounty, uint16 round, uint8 update) private view returns (uint256 weight) {
        (weight,) = scores.weightOf(BountyId.wrap(bounty), round, update);
    }

    function _part(uint256 report, uint256 update) private pure returns (uint256) {
        return uint32(report >> 224 - 32 * update);
    }

    function _bounty(uint256 seed) private pure returns (uint256) {
        return seed % BOUNTIES + 1;
    }

    function _round(uint256 seed) private pure returns (uint16) {
        return uint16(seed % ROUNDS + 1);
    }

    function _evaluator(uint256 bounty, uint256 seed) private view returns (address) {
        address[] memory evaluators = _panel(bounty).evaluators;
        return evaluators[seed % evaluators.length];
    }
}
