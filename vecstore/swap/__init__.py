"""Swap: copy a store into another Database, or move it there, while it is read and written.

A move is a rebuild whose other generation lives elsewhere. In each catalogue a remote generation stands for the store
in the other one, so that the procedure is that of `vecstore.rebuild`: writes are noted while there is a standby, the
roles are checked in each call, and the switch of the source is the switch of the whole.

========================  =================================  ==========================================
step                      source                             target
========================  =================================  ==========================================
while it is filled        active: records                    active: remote, building: records
                          building: remote                   (incoming: nobody else may use it)
after the switch          active: remote (the way there)     as before; whoever sees it makes it active
                          previous: records
at the end                as before                          active: records, previous: remote
========================  =================================  ==========================================

A copy ends the same way, without the switch of the source, and both forget each other. A process may be killed between
any two of these steps: the catalogues say where to go on.
"""
