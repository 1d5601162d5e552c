// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Phase, Terms} from "../../src/Types.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {Ghosts} from "./Ghosts.sol";
import {Mintable} from "./Mintable.sol";

/// @notice Random people join, commit, reveal and leave, and put down bonds. Every action is valid when it is made; one that
/// would not be valid is left out or must be refused.
abstract contract RoundHandler is Ghosts {
    constructor(ITrainingMarket market_, Mintable token_, Terms[3] memory terms, address owner_)
        Ghosts(market_, token_, terms, owner_)
    {}

    function wait(uint256 seconds_) external act(0) {
        skip(bound(seconds_, 1, 30));
    }

    function waitLong(uint256 seconds_) external act(0) {
        if (seconds_ % 16 == 0) skip(bound(seconds_, 45, 400));
    }

    function join(uint256 bounty, uint256 who, uint256 stake) public {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        if (!_unfinished(id) || market.provider(id, account).stake != 0) return;
        _join(bounty, account, uint96(bound(stake, 100, 900)));
    }

    function _join(uint256 bounty, address account, uint96 stake) private act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        cameIn[bounty] += stake;
        stakeOf[bounty][account] = stake;
        vm.prank(account);
        market.join(id, stake, "key", "/ip4/127.0.0.1");
        uint256 index = market.provider(id, account).index;
        if (_memberAt[bounty][index] == address(0)) ++everJoined[bounty];
        _memberAt[bounty][index] = account;
    }

    function leave(uint256 bounty, uint256 who) external act(0) {
        BountyId id = BountyId.wrap(_bounty(bounty));
        address account = providerAt(who % PROVIDERS);
        Clock memory clock = market.clock(id);
        if (who % 3 != 0 || !_unfinished(id) || !_active(id, account)) return;
        if (clock.phase == Phase.Commit && _committedIn(id, account, clock.round)) return;
        vm.prank(account);
        market.leave(id);
    }

    function withdrawStake(uint256 bounty, uint256 who) external {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        if (market.provider(id, account).stake == 0 || !_stakeFree(id, account)) return;
        _withdrawStake(bounty, account);
    }

    function _withdrawStake(uint256 bounty, address account) internal act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        uint256 amount = stakeOf[bounty][account];
        if (_forfeitDue(id, account)) amount -= market.terms(id).forfeit;
        stakeOf[bounty][account] = 0;
        wentOut[bounty] += amount;
        vm.prank(account);
        market.withdrawStake(id);
    }

    function commit(uint256 bounty, uint256 who) public act(0) {
        BountyId id = BountyId.wrap(_bounty(bounty));
        address account = providerAt(who % PROVIDERS);
        Clock memory clock = market.clock(id);
        if (clock.phase != Phase.Commit || !_active(id, account)) return;
        uint16 earlier = market.provider(id, account).commitRound;
        if (earlier == clock.round) return; // one commitment a round, also after a disqualification
        if (market.commitmentOf(id, account) != 0 && !interrupted[BountyId.unwrap(id)][earlier]) return;
        bytes32 commitment = _commitment(id, clock.round, account);
        vm.prank(account);
        market.commit(id, clock.round, commitment);
    }

    function reveal(uint256 bounty, uint256 who) public act(0) {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        Clock memory clock = market.clock(id);
        if (clock.phase != Phase.Reveal || !_committedIn(id, account, clock.round)) return;
        vm.prank(account);
        market.reveal(id, clock.round, "cid", _updateRoot(clock.round, account), "salt");
        _revealed[bounty][clock.round].push(account);
        ++revealsOf[bounty][clock.round];
    }

    function forfeit(uint256 bounty, uint256 who) external act(0) {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        market.settle(id);
        if (!_forfeitDue(id, account)) {
            _refused(account, abi.encodeCall(market.forfeit, (id, account)), "I15: nothing to forfeit");
            return;
        }
        stakeOf[bounty][account] -= market.terms(id).forfeit;
        market.forfeit(id, account);
    }

    function depositBond(uint256 bounty, uint256 who) public {
        bounty = _bounty(bounty);
        BountyId id = BountyId.wrap(bounty);
        (uint96 held,) = market.bondOf(id, bonders[who % 2]);
        if (!_unfinished(id) || held != 0) return;
        _depositBond(bounty, bonders[who % 2]);
    }

    function _depositBond(uint256 bounty, address account) private act(bounty) {
        cameIn[bounty] += market.terms(BountyId.wrap(bounty)).bond;
        vm.prank(account);
        market.depositBond(BountyId.wrap(bounty));
    }

    function withdrawBond(uint256 bounty, uint256 who) external {
        bounty = _bounty(bounty);
        if (who % 3 == 0) _withdrawBond(bounty, bonders[who % 2]);
    }

    function _withdrawBond(uint256 bounty, address account) internal act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        (uint96 held, uint32 lockedUntil) = market.bondOf(id, account);
        if (held == 0 || this.time() < lockedUntil) return;
        wentOut[bounty] += held;
        vm.prank(account);
        market.withdrawBond(id);
    }
}
